"""An owner, a thief, the reader of an old mailbox, a robot and a stranger act in every order; the right person wins."""

import os
from collections import defaultdict
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.test import Client
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from accounts import credentials
from accounts.changes import locking, proof, review
from accounts.credentials import Credential
from accounts.links import dispute_links
from accounts.notices import account as emails
from accounts.notices.digest import DigestEntry
from accounts.sign_in import disputes
from accounts.sign_in.event import AccountChange, SignIn
from accounts.sign_in.sessions import Session
from accounts.user import User
from jobs.core.job import JobLog
from tests.support.account_life import FACTOR, Account, Backing, Kind, State

OWN, EVIL, NEW = "own", "evil", "new"  # whose mailbox an address is: the owner's first, the thief's, the owner's next
HIS_CHANGES = ["add", "make_primary", "password", "rename", "connect", "enrol", "drop", "disconnect", "disconnect_hers"]
HER_CHANGES = ["add", "password", "rename", "connect", "disconnect_his"]
EXAMPLES = int(os.environ.get("DISPUTE_EXAMPLES", "200"))
ANY = st.integers(0, 60)


class LifeOfAnAccount(RuleBasedStateMachine):
    """Each rule is what one actor can do; what an actor cannot do (no session, no mailbox) is not offered."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        LifeOfAnAccount.made += 1
        self.account = Account(LifeOfAnAccount.made)
        credentials.register_factor(FACTOR, hold=self.account.hold, restore=self.account.restore)
        self.thief_knows_password = True
        self.thief, self.owner = None, None  # the sign-ins of their sessions
        self.waiting = None  # a request that has arrived and is not served yet: change, whose, request, what
        self.overtaken = False  # whether something ended its session or its epoch since
        self.renamed_in = None  # the thief's session that changed the profile last
        self.given_up: set[str] = set()  # addresses whose removal was proved, or is seven days old
        self.resets: list[tuple[str, int]] = []  # tokens that were mailed, and the epoch of each
        self.seen: set[object] = set(AccountChange.objects.filter(user=self.account.user).values_list("pk", flat=True))

    # --- the thief ------------------------------------------------------------------------------------------
    @precondition(lambda self: self.thief_knows_password)
    @rule()
    def thief_signs_in(self) -> None:
        self.thief = self.account.sign_in(vouched=False)

    @precondition(lambda self: self.account.is_connected("his"))
    @rule()
    def thief_signs_in_with_github(self) -> None:
        self.thief = self.account.sign_in(vouched=False, github="his")

    @precondition(lambda self: self.thief)
    @rule(what=st.sampled_from(HIS_CHANGES))
    def thief_changes_the_account(self, what: str) -> None:
        with self.account.session_of(self.thief):
            self._change_as_thief(self.thief, what)

    @precondition(lambda self: self.thief)
    @rule(mailbox=st.sampled_from([OWN, NEW]))
    def thief_removes_an_address(self, mailbox: str) -> None:
        with self.account.session_of(self.thief):
            self._remove(mailbox)

    @precondition(lambda self: self.thief)
    @rule(which=ANY)
    def thief_reports_from_inside(self, which: int) -> None:
        if self._report_from_inside(self.thief, which, "his-password"):
            self.owner = None

    # --- the owner ------------------------------------------------------------------------------------------
    @precondition(lambda self: not self.thief_knows_password or self._password_is_hers())
    @rule()
    def owner_signs_in(self) -> None:
        if self.account.fresh().has_usable_password():
            self.owner = self.account.sign_in(vouched=True)

    @precondition(lambda self: self.account.is_connected("hers"))
    @rule()
    def owner_signs_in_with_github(self) -> None:
        self.owner = self.account.sign_in(vouched=True, github="hers")

    @precondition(lambda self: self.owner)
    @rule(what=st.sampled_from(HER_CHANGES))
    def owner_changes_the_account(self, what: str) -> None:
        with self.account.session_of(self.owner, Backing.PASSWORD):
            self._change_as_owner(self.owner, what)

    @precondition(lambda self: self.owner)
    @rule()
    def owner_moves_to_a_new_address(self) -> None:
        if not self.account.has(OWN):
            return
        with self.account.session_of(self.owner, Backing.PASSWORD):
            self.account.add(NEW)
            self.given_up.discard(NEW)
            self.account.make_primary(NEW)
            self._remove(OWN, proved=True)

    @precondition(lambda self: self.owner)
    @rule(which=ANY)
    def owner_reports_from_inside(self, which: int) -> None:
        if self._report_from_inside(self.owner, which, "a-password-of-hers"):
            self.thief, self.thief_knows_password = None, False

    @precondition(lambda self: self.owner)
    @rule(mine=st.booleans(), which=ANY)
    def owner_decides_about_something_held(self, mine: bool, which: int) -> None:
        held = [row for row in Credential.objects.held(self.account.user.pk) if "evil" not in row.address]
        if held:
            with self.account.session_of(self.owner, Backing.PASSWORD) as request:
                row = held[which % len(held)]
                mine, since = mine and not row.reference.startswith("his"), row.since
                done = review.keep(row, request) if mine else review.remove(row, request)
                row.refresh_from_db()
                assert row.since == since
                assert not done or row.state == (State.CURRENT if mine else State.GONE)
                self.given_up -= {one for one in (OWN, EVIL, NEW) if self.account.has(one)}

    # --- the reader of a mailbox ----------------------------------------------------------------------------
    @rule(mailbox=st.sampled_from([OWN, EVIL, NEW]))
    def ask_for_a_reset(self, mailbox: str) -> None:
        user = self.account.fresh()
        if credentials.may_reset(user, self.account.address(mailbox)):
            self.resets.append((mailbox, credentials.ResetTokenGenerator().make_token(user), user.epoch))

    @rule(which=ANY)
    def use_a_reset_link(self, which: int) -> None:
        if not self.resets:
            return
        mailbox, token, epoch = self.resets[which % len(self.resets)]
        before, current = self.account.state(), self.account.fresh().epoch
        reads_own = mailbox != EVIL
        if not self.account.reset(token, "a-password-of-hers" if reads_own else "his-password"):
            assert self.account.state() == before, "a reset link that does nothing changed something"
            return
        assert epoch == current, "a reset link of an older epoch acts"
        assert mailbox not in self.given_up, "a reset link to an address that was given up acts"
        self.thief = self.owner = None
        self.overtaken = True
        self.thief_knows_password = not reads_own

    @rule(which=ANY)
    def press_a_link(self, which: int) -> None:
        links = self._links()
        if links:
            self._press(*links[which % len(links)])

    @rule(first=ANY, second=ANY)
    def two_links_are_pressed_together(self, first: int, second: int) -> None:
        """Both pages are loaded before either form is sent; the lock on the account puts the presses in some order."""
        links = self._links()
        if links:
            both = [links[first % len(links)], links[second % len(links)]]
            assert self._outcome(both) == self._outcome(both[::-1]), "the order of two presses decides who wins"
            for link in both:
                self._press(*link)

    # --- two requests at the same time -------------------------------------------------------------------------------
    @precondition(lambda self: self.thief)
    @rule(what=st.sampled_from(HIS_CHANGES))
    def a_request_of_the_thief_arrives(self, what: str) -> None:
        arrived = self.account.arrive(self.thief)
        self.waiting, self.overtaken = (self._change_as_thief, self.thief, arrived, what), False

    @precondition(lambda self: self.owner)
    @rule(what=st.sampled_from(HER_CHANGES))
    def a_request_of_the_owner_arrives(self, what: str) -> None:
        arrived = self.account.arrive(self.owner)
        self.waiting, self.overtaken = (self._change_as_owner, self.owner, arrived, what), False

    @precondition(lambda self: self.waiting)
    @rule()
    def the_waiting_request_is_served(self) -> None:
        """It acts only when nothing that came in between ended its session or its epoch."""
        (change, session, request, what), self.waiting = self.waiting, None
        before, overtaken = self.account.state(), self.overtaken
        try:
            with self.account.serve(request):
                assert not overtaken, "a request that was overtaken acts"
                change(session, what)
        except locking.Stale:
            assert overtaken, "nothing came in between"
            assert self.account.state() == before, "a request that was overtaken changed something"

    @rule(which=ANY)
    def robot_visits_a_link(self, which: int) -> None:
        links = self._links()
        if not links:
            return
        event, row = links[which % len(links)]
        before, jobs = self.account.state(), self._jobs().count()
        path = dispute_links.dispute_path(event.pk, row.address)
        Client().get(path)
        Client().post(path)
        Client().post(path, {"answer": "me"})
        assert (self.account.state(), self._jobs().count()) == (before, jobs), "a robot changed something"

    @rule()
    def stranger_floods(self) -> None:
        user = self.account.fresh()
        for _ in range(12):
            emails.enqueue_mail("password_reset", user.email, user)

    @rule(hours=st.sampled_from([1, 24, 72, 8 * 24]))
    def time_passes(self, hours: int) -> None:
        self.account.shift(timedelta(hours=hours))
        late = self.account.rows().filter(kind=Kind.ADDRESS, removed_at__lt=Now() - timedelta(days=7))
        for credential in late.filter(state=State.LEAVING):
            self.given_up.add(credential.address.split("-")[0])

    # --- how it is done -------------------------------------------------------------------------------------
    def _change_as_thief(self, session: object, what: str) -> None:
        epoch = self.account.fresh().epoch
        match what:
            case "make_primary" if not self.account.has(EVIL):
                return
            case "add" | "make_primary":
                getattr(self.account, what)(EVIL)
                self.given_up.discard(EVIL)
            case "password":
                self.account.set_password("his-password")
                self.owner = None
                self.thief = session
                self.thief_knows_password = True
            case "rename":
                self.renamed_in = session
                self.account.rename(first_name="Thief", language="en", notify_sign_ins=False)
            case "drop":
                self.account.drop("hers")
            case "disconnect_hers":
                self.account.disconnect("hers")
            case _:
                getattr(self.account, what)("his")
        self.overtaken |= self._ends_an_epoch(what, epoch)

    def _change_as_owner(self, session: object, what: str) -> None:
        epoch = self.account.fresh().epoch
        match what:
            case "add":
                self.account.add(NEW)
                self.given_up.discard(NEW)
            case "password":
                self.account.set_password("a-password-of-hers")
                self.owner = session
                self.thief, self.thief_knows_password = None, False
            case "rename":
                self.account.rename(first_name="Bat")
            case "connect":
                self.account.connect("hers")
            case "disconnect_his":
                self.account.disconnect("his")
        self.overtaken |= self._ends_an_epoch(what, epoch)

    def _ends_an_epoch(self, what: str, epoch: int) -> bool:
        """Whether a change ended the epoch: a new password does, and a removal if there was something to remove."""
        ended = self.account.fresh().epoch > epoch
        assert ended or what != "password"
        assert not ended or what == "password" or what.startswith(("drop", "disconnect"))
        return ended

    def _outcome(self, links: list[tuple[object, Credential]]) -> tuple[str, list[str]]:
        """Return the primary address and all addresses after these presses, which are taken back."""
        factors = dict(self.account.factors)
        with transaction.atomic():
            for event, row in links:
                disputes.dispute(event, row.address)
            state = self.account.state()
            transaction.set_rollback(True)
        self.account.factors = factors
        return state[0], state[5]

    def _remove(self, mailbox: str, *, proved: bool = False) -> None:
        older = Credential.objects.current(self.account.user.pk).first()
        address = self.account.address(mailbox)
        if not self.account.remove(mailbox):
            return
        self.overtaken = True
        if proved or (older and older.address != address):
            self.given_up.add(mailbox)

    def _report_from_inside(self, own: object, which: int, password: str) -> bool:
        others = list(SignIn.objects.filter(user=self.account.user).exclude(pk=own).order_by("at"))
        if not others:
            return False
        before = self.account.power()
        began = SignIn.objects.get(pk=own).at
        older = self._current_before(began)
        self.account.report_from_inside(own, others[which % len(others)].pk, password)
        assert self.account.power() <= before, "a report from inside gave an address power"
        assert self._current_before(began) == older, "a report from inside touched what is older than its session"
        self.overtaken = True
        return True

    def _current_before(self, at: object) -> set[int]:
        return set(self.account.rows().filter(state=State.CURRENT, since__lt=at).values_list("pk", flat=True))

    def _links(self) -> list[tuple[object, Credential]]:
        """Every link that was ever mailed: the event, and the entry of the address."""
        rows = {row.pk: row for row in self.account.rows().filter(kind=Kind.ADDRESS).order_by("pk")}
        by_address = {row.address: row for row in rows.values()}
        notices = SignIn.objects.filter(user=self.account.user).order_by("at")
        links: list[tuple[object, Credential]] = [(one, by_address[one.email]) for one in notices]
        for change in AccountChange.objects.filter(user=self.account.user).order_by("at"):
            links += [(change, row) for row in rows.values() if row.since <= change.at]
        return links

    def _press(self, event: SignIn | AccountChange, row: Credential) -> None:
        mailbox = row.address.split("-")[0]
        newest = Credential.objects.for_address(self.account.user.pk, row.address).first()
        before, older, was_gone = self.account.state(), self._older_than(newest), mailbox in self.given_up
        settled, hers = self._settled_factor(), self._connected_before(event)
        acted = disputes.dispute(event, row.address)
        if not acted or was_gone:
            assert not acted, "a link to an address that was given up acts"
            assert self.account.state() == before, "a link that does not act changed something"
            return
        assert self._older_than(newest) == older, "a press changed an older address"
        assert self.account.has(mailbox), "the pressing address is not current"
        if mailbox == OWN:
            self._assert_undone(event)
        assert not settled or "hers" in self.account.factors, "a settled factor is lost"
        self._assert_github(event, hers)
        mails = self._jobs().count()
        assert not disputes.dispute(event, row.address), "a used link acts again"
        assert self._jobs().count() == mails, "a used link mails a new one"
        self.thief = self.owner = None
        self.overtaken = True
        self.given_up -= {one for one in (OWN, EVIL, NEW) if self.account.has(one)}
        self.thief_knows_password = mailbox == EVIL  # the way back goes to the mailbox that pressed
        user = self.account.fresh()
        user.set_password("his-password" if mailbox == EVIL else "a-password-of-hers")
        user.save()

    def _assert_undone(self, event: SignIn | AccountChange) -> None:
        """After the owner's press nothing is left of the thief's sessions of the week before the event."""
        recent = SignIn.objects.filter(user=self.account.user, vouched=False, at__gt=event.at - timedelta(days=7))
        his = list(recent.values_list("pk", flat=True))
        left = self.account.rows().filter(state=State.CURRENT, added_in__in=his)
        assert not left.exists(), "something that the thief added survived the owner's press"
        assert self.renamed_in not in his or self.account.fresh().first_name != "Thief"
        if not self.account.has(EVIL):
            assert self.account.fresh().email == self.account.address(OWN)

    def _connected_before(self, event: SignIn | AccountChange) -> bool:
        """Whether the owner's GitHub account is connected, and was long before the event."""
        origin = self._origin(event)
        early = min(event.at, origin.at if origin else event.at) - timedelta(days=7)
        hers = self.account.rows().filter(kind=Kind.GITHUB, reference=self.account.github("hers"), since__lt=early)
        return hers.filter(state=State.CURRENT).exists()

    def _assert_github(self, event: SignIn | AccountChange, hers: bool) -> None:
        """After a press the GitHub account that made the disputed sign-in is off; the owner's older one stays."""
        origin = self._origin(event)
        used = origin.made_with if origin else ""
        assert not used or not SocialAccount.objects.filter(user=self.account.user, uid=used).exists()
        if hers and used != self.account.github("hers"):
            assert self.account.is_connected("hers"), "a GitHub account of before the start is lost"

    def _origin(self, event: SignIn | AccountChange) -> SignIn | None:
        return event if isinstance(event, SignIn) else SignIn.objects.filter(pk=event.sign_in).first()

    def _older_than(self, acting: Credential | None) -> list[tuple[object, ...]]:
        """Return the current addresses that are older than the one of a link, each with its age."""
        if acting is None:
            return []
        older = self.account.rows().filter(kind=Kind.ADDRESS, state=State.CURRENT, since__lt=acting.since)
        return list(older.order_by("pk").values_list("address", "since"))

    def _settled_factor(self) -> bool:
        """Whether the owner's factor is there, or was removed so recently that a press restores it."""
        return credentials.is_settled(self.account.user, FACTOR, "hers")

    def _jobs(self) -> "QuerySet[JobLog]":
        """Return the jobs of this account: those of the examples before it are many."""
        return JobLog.objects.filter(user_id=str(self.account.user.pk))

    def _password_is_hers(self) -> bool:
        return self.account.fresh().check_password("a-password-of-hers")

    # --- what always holds ----------------------------------------------------------------------------------
    @invariant()
    def rows_and_history_agree(self) -> None:
        """Nothing in the history becomes older or is lost, and its current entries are what the account has."""
        rows = list(self.account.rows().values_list("pk", "since", "kind", "state", "address", "reference"))
        current: dict[str, set[str]] = defaultdict(set)
        for _, _, kind, state, address, reference in rows:
            if state == State.CURRENT:
                current[kind].add(address if kind == Kind.ADDRESS else reference)
        user = self.account.fresh()
        assert current[Kind.ADDRESS] == set(EmailAddress.objects.filter(user=user).values_list("email", flat=True))
        assert user.email in current[Kind.ADDRESS]
        assert current[FACTOR] == set(self.account.factors)
        assert current[Kind.GITHUB] == set(SocialAccount.objects.filter(user=user).values_list("uid", flat=True))
        ages = {pk: since for pk, since, *_ in rows}
        assert {pk: ages.get(pk) for pk in self.account.ages} == self.account.ages
        self.account.ages = ages
        self._assert_way_back(user)

    def _assert_way_back(self, user: User) -> None:
        """A robbed owner has a link that works, whatever the thief pressed: only her own press voids hers."""
        acting = credentials.find_power(user, self.account.address(OWN))
        if OWN in self.given_up or acting is None or acting.state != State.LEAVING:
            return
        removals = AccountChange.objects.filter(user=user, what=AccountChange.What.ADDRESS_REMOVED, credential=acting)
        assert any(disputes.is_open(change, acting.address) for change in removals)

    @invariant()
    def a_session_that_was_ended_has_no_row(self) -> None:
        """The sessions of both actors are as the site has them."""
        known = set(Session.objects.filter(user_id=self.account.user.pk).values_list("sign_in", flat=True))
        assert {one for one in (self.thief, self.owner) if one} <= known
        his = SignIn.objects.filter(pk__in=known - {self.owner}, vouched=False)
        assert self.thief or known <= {self.owner} or not his.exists(), "the thief has a session"

    @invariant()
    def every_change_is_emailed_once_to_every_address_concerned(self) -> None:
        fresh = AccountChange.objects.filter(user=self.account.user).exclude(pk__in=self.seen)
        for change in fresh:
            jobs = self._jobs().filter(job_type="security-mail", payload__eventId=str(change.pk))
            kept = DigestEntry.objects.filter(user=self.account.user, details__eventId=str(change.pk))
            mailed = [*jobs.values_list("payload__email", flat=True), *kept.values_list("address", flat=True)]
            assert len(mailed) == len(set(mailed)) >= 1
            self.seen.add(change.pk)


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.timeout(14_400)
def test_every_order_of_a_dispute():
    credentials.register_assessor(lambda request, user: request.made)
    try:
        run_state_machine_as_test(
            LifeOfAnAccount,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=20,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        credentials.register_assessor(proof.assess)
