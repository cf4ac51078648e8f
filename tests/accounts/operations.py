"""The documents of the accounts' operations, and asking one of them: as a client of the API would."""

from typing import Any

from tests.clients import Api

AUTHENTICATION = "Authentication { isAuthenticated pending user { email emailVerified profile { displayName } } }"
ACCEPTED = "Accepted { accepted }"
EMAIL_ADDRESS = "EmailAddress { email verified primary }"
OUT = {"isAuthenticated": False, "pending": [], "user": None}


def mutation(name: str, result: str, **inputs: str) -> str:
    """A mutation's document, its input's fields as variables."""
    types = ", ".join(f"${field}: {type_}" for field, type_ in inputs.items())
    fields = ", ".join(f"{field}: ${field}" for field in inputs)
    head, call = (f"({types})", f"(input: {{ {fields} }})") if inputs else ("", "")
    return (
        f"mutation {head} {{ {name}{call} {{ ... on {result} ... on OperationInfo {{ messages {{ field code }} }} }} }}"
    )


SIGN_UP = mutation("signUp", AUTHENTICATION, email="String!", password="String!", displayName="String")
LOG_IN = mutation("logIn", AUTHENTICATION, email="String!", password="String!")
AUTHENTICATE_MFA = mutation("authenticateMfa", AUTHENTICATION, code="String!")
LOG_OUT = mutation("logOut", AUTHENTICATION)
VERIFY_EMAIL = mutation("verifyEmail", AUTHENTICATION, key="String!")
REQUEST_EMAIL_VERIFICATION = mutation("requestEmailVerification", ACCEPTED, email="String!")
REQUEST_PASSWORD_RESET = mutation("requestPasswordReset", ACCEPTED, email="String!")
RESET_PASSWORD = mutation("resetPassword", AUTHENTICATION, key="String!", password="String!")
CHANGE_PASSWORD = mutation("changePassword", AUTHENTICATION, currentPassword="String!", newPassword="String!")
ADD_EMAIL_ADDRESS = mutation("addEmailAddress", EMAIL_ADDRESS, email="String!")
REMOVE_EMAIL_ADDRESS = mutation("removeEmailAddress", ACCEPTED, email="String!")
MAKE_EMAIL_ADDRESS_PRIMARY = mutation("makeEmailAddressPrimary", EMAIL_ADDRESS, email="String!")
END_SESSION = "mutation ($id: ID!) { endSession(id: $id) { ... on Accepted { accepted } } }"
END_OTHER_SESSIONS = mutation("endOtherSessions", ACCEPTED)
START_TOTP = mutation("startTotp", "TotpSetup { secret uri qrCode }")
CONFIRM_TOTP = mutation("confirmTotp", "RecoveryCodes { codes }", code="String!")
DISABLE_TOTP = mutation("disableTotp", "Mfa { totpEnabled recoveryCodesLeft }", password="String!")
DELETE_ACCOUNT = mutation("deleteAccount", ACCEPTED, password="String!")

ME = "{ me { email emailVerified } }"
MFA = "{ mfa { totpEnabled recoveryCodesLeft } }"
EMAIL_ADDRESSES = "{ emailAddresses { email verified primary } }"
SESSIONS = "{ sessions { id userAgent ipAddress isCurrent createdAt lastSeenAt } }"
NEWS = "{ notifications(first: 100) { edges { node { kind title body url data } } } }"


async def ask(client: Api, document: str, **variables: Any) -> Any:
    """The one field that was asked for."""
    [value] = (await client.data(document, **variables)).values()
    return value


async def refusals(client: Api, document: str, **variables: Any) -> list[tuple[str | None, str]]:
    """The field and code of each message with which it was refused."""
    answer = await ask(client, document, **variables)
    assert "messages" in answer, answer
    return [(message["field"], message["code"]) for message in answer["messages"]]


async def news(client: Api, kind: str) -> list[Any]:
    """The data of the notifications of this kind, newest first."""
    edges = (await ask(client, NEWS))["edges"]
    return [edge["node"]["data"] for edge in edges if edge["node"]["kind"] == kind]
