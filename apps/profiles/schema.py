import strawberry
import strawberry_django
from django.core.files.uploadedfile import UploadedFile

from apps.errors import BadUserInput
from apps.profiles import services
from apps.profiles.types import ProfileResult, SetAvatarInput, UpdateProfileInput
from apps.users.types import Info


@strawberry.type
class Mutation:
    @strawberry_django.mutation(handle_django_errors=True)
    async def update_profile(self, info: Info, input: UpdateProfileInput) -> ProfileResult:
        user = await info.context.user()
        return await services.aupdate_profile(user, display_name=input.display_name, bio=input.bio)

    @strawberry_django.mutation(handle_django_errors=True)
    async def set_avatar(self, info: Info, input: SetAvatarInput) -> ProfileResult:
        user = await info.context.user()
        if not isinstance(input.image, UploadedFile):  # the scalar takes whatever JSON holds
            raise BadUserInput("`image` must be a file, sent by the GraphQL multipart request specification.")
        return await services.aset_avatar(user, input.image)

    @strawberry_django.mutation(handle_django_errors=True)
    async def remove_avatar(self, info: Info) -> ProfileResult:
        return await services.aremove_avatar(await info.context.user())
