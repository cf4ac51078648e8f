"""A trial: followers follow, publishers publish, a test does damage; then everybody catches up, and is judged."""

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tests.delivery.clients import Follower
from tests.delivery.judge import Verdict, judge
from tests.delivery.publisher import Plan
from tests.delivery.services import until
from tests.delivery.site import Site
from tests.processes import ROOT

MUTATIONS = 10
"""A second, of all followers together."""
CATCH_UP_SECONDS = 40


@dataclass(frozen=True)
class Scale:
    """How long outages are, in seconds, how much is published around them, and to how many at once."""

    down: float
    paused: float
    frames: int
    crowd: int


SHORT = Scale(down=20, paused=10, frames=300, crowd=20_000)
LONG = Scale(down=60, paused=60, frames=3_000, crowd=100_000)


class Publisher:
    """A publisher's process and its log."""

    def __init__(self, site: Site, directory: Path, plan: Plan) -> None:
        self._name = plan.name
        self._log = directory / f"{plan.name}.log"
        self._errors = directory / f"{plan.name}.errors"
        with self._log.open("wb") as log, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.delivery.publisher", json.dumps(asdict(plan))],
                cwd=ROOT,
                env=site.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=errors,
            )

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def commits(self) -> int:
        return self._log.read_bytes().count(b'"committed"')

    async def stop(self) -> None:
        """Lets it finish what it is at."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await until(lambda: self._process.poll() is not None, f"publisher {self._name} ends")
        assert self._process.returncode == 0, f"publisher {self._name} broke:\n{self._errors.read_text()[-2000:]}"

    def kill(self) -> None:
        """If it still runs."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()


class Trial:
    """Publishers and followers may join while it runs. `verdict` is there when it is over."""

    verdict: Verdict

    def __init__(self, site: Site, scale: Scale, urls: Sequence[str]) -> None:
        self.followers: list[Follower] = []
        self.publishers: list[Publisher] = []
        self._site = site
        self._scale = scale
        self._urls = urls
        self._directory = Path(mkdtemp(dir=site.directory))
        self._tasks: list[asyncio.Task[None]] = []
        self._mutating: asyncio.Task[None] | None = None
        self._notifications: list[dict[str, Any]] = []
        self._inboxes: dict[int, dict[str, Any]] = {}

    # Those who take part.

    async def begin(self, users: list[int], **plan: Any) -> None:
        """Two publishers, and two followers for each user: from the beginning, and from where SQL says the inbox is."""
        for name in ("p1", "p2"):
            self.publish(Plan(name, users, **plan))
        for user in self._site.users:
            self.follow(Follower, user, 0)
        await until(lambda: all(each.commits() > 10 for each in self.publishers), "publishers publish")
        inboxes = await self._site.inboxes()
        for user in self._site.users:
            self.follow(Follower, user, inboxes[user]["sequence"])
        await until(lambda: all(each.frames for each in self.followers), "everybody follows")
        # By those who came second, of what they hold. They were never owed what is older than their cursor: its change
        # by somebody else would come to them as if it were new, and late.
        self._mutating = asyncio.create_task(self._mutate(self.followers[len(self._site.users) :]))
        await self.traffic()

    def publish(self, plan: Plan) -> Publisher:
        publisher = Publisher(self._site, self._directory, plan)
        self.publishers.append(publisher)
        return publisher

    def follow[F: Follower](self, kind: type[F], user: int, after: int) -> F:
        """The followers of one user begin at different web processes."""
        turn = (user + sum(each.user == user for each in self.followers)) % len(self._urls)
        urls = [*self._urls[turn:], *self._urls[:turn]]
        follower = kind(f"f{len(self.followers)}", user, self._site.headers(user), urls, after)
        self.followers.append(follower)
        self._tasks.append(asyncio.create_task(follower.follow()))
        return follower

    async def _mutate(self, followers: Sequence[Follower]) -> None:
        while True:
            await asyncio.sleep(1 / MUTATIONS)
            await random.choice(followers).mutate()

    # What happens meanwhile.

    async def traffic(self) -> None:
        """Returns when the scale's number of frames has come, to all followers together."""
        enough = self._frames() + self._scale.frames
        await until(lambda: self._frames() >= enough, f"{self._scale.frames} more frames come", seconds=300)

    def _frames(self) -> int:
        return sum(each.frames for each in self.followers)

    def events(self) -> list[dict[str, Any]]:
        """What the publishers logged."""
        return [event for publisher in self.publishers for event in publisher.events()]

    def commits(self, since: float, before: float) -> int:
        """How many batches were committed in that time."""
        return sum(each["event"] == "committed" and since < each["at"] < before for each in self.events())

    def closes(self, since: float) -> Counter[int]:
        """With which codes followers' connections ended."""
        return Counter(code for each in self.followers for code in each.closes(since))

    def drop_some(self) -> None:
        """A quarter of the followers has to come back while whatever is wrong is still wrong."""
        for follower in self.followers[::4]:
            follower.drop()

    # The end.

    async def finish(self) -> None:
        """Ends the publishing, and waits until every follower knows what SQL does."""
        if self._mutating is not None:
            self._mutating.cancel()
        for publisher in self.publishers:
            await publisher.stop()
        with suppress(AssertionError):  # the judge will say who lacks what
            await until(self._caught_up, "everybody has caught up", seconds=CATCH_UP_SECONDS, every=0.25)
        self._notifications = await self._site.notifications()

    async def _caught_up(self) -> bool:
        before, self._inboxes = self._inboxes, await self._site.inboxes()
        return before == self._inboxes and all(
            not each.unanswered and each.position >= self._inboxes[each.user]["sequence"] for each in self.followers
        )

    async def stop(self) -> None:
        """Ends whoever is still at it. Raises what a follower broke with."""
        for publisher in self.publishers:
            publisher.kill()
        tasks = [*self._tasks, *([self._mutating] if self._mutating else [])]
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    def judge(self, followers: Iterable[Follower], before: float = inf) -> Verdict:
        """By what they logged before that time."""
        return judge(self.events(), [each.log(before) for each in followers], self._notifications, self._inboxes)


@asynccontextmanager
async def running(
    site: Site, scale: Scale, *, urls: Sequence[str] = (), users: Sequence[int] = (), **plan: Any
) -> AsyncIterator[Trial]:
    """A trial in which everybody is at it. By default on both web processes, with publishers for all users."""
    await site.reset()
    trial = Trial(site, scale, urls or [web.websocket_url for web in site.webs])
    try:
        await trial.begin(list(users or site.users), **plan)
        yield trial
        await trial.finish()
    finally:
        await trial.stop()
    trial.verdict = trial.judge(trial.followers)
