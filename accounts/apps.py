"""The app of the users, their sign-ins and their emails, and what it registers at the start."""

from allauth.socialaccount.apps import SocialAccountConfig
from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class SocialAccountsConfig(SocialAccountConfig):
    """allauth's app of GitHub accounts. The URLs load the provider, and `requests` with it: a worker needs neither."""

    def ready(self) -> None:
        from allauth.socialaccount import checks  # noqa: F401  (registers the system checks)


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Users")

    def ready(self) -> None:
        """Register the job types, the maintenance tasks and the receivers, once the models are loaded."""
        from accounts import credentials, privacy, signals
        from accounts.alerts.registration import register_alerts
        from accounts.changes import proof
        from accounts.credentials import github
        from accounts.events import job_type as events
        from accounts.factors import receivers
        from accounts.notices import job_types
        from accounts.notices.sign_in import SIGN_IN_JOB
        from accounts.pending import flow
        from accounts.rights import effects
        from accounts.sites import outcomes, site
        from jobs.core.job_types import on_settled, register_pruner

        job_types.register_job_types()
        self._register_sweeps()
        flow.effects.update(effects.EFFECTS)
        events.register_event_type()
        on_settled(SIGN_IN_JOB, outcomes.emit_outcomes)
        register_pruner(privacy.prune)
        register_alerts()
        credentials.register_assessor(proof.assess)
        github.register_github()
        receivers.connect()
        signals.connect()
        post_migrate.connect(site.fill_this_site, sender=self, dispatch_uid="accounts.this_site")

    def _register_sweeps(self) -> None:
        """Register the maintenance tasks, each with the rows that it works on."""
        from accounts.changes import leaving
        from accounts.events import outage, replay
        from accounts.notices import digest, providers
        from accounts.pending import flow
        from accounts.sign_in import disputes, outbox
        from accounts.sites import disputes as site_disputes
        from accounts.sites import key_ends
        from accounts.sites.keys import ApiKey
        from jobs.core.job_types import register_sweep

        register_sweep(outbox.enqueue_pending, outbox.pending)
        register_sweep(disputes.enqueue_pending, disputes.pending)
        register_sweep(disputes.enqueue_pending, disputes.pending_changes)
        register_sweep(site_disputes.notify_pending, site_disputes.pending)
        register_sweep(leaving.remind, leaving.unreminded)
        register_sweep(leaving.end_expired, leaving.expired)
        register_sweep(digest.enqueue_digests, digest.due)
        register_sweep(key_ends.warn_sites, ApiKey.objects.ending)
        register_sweep(flow.sweep, flow.awake)
        register_sweep(providers.bring_back, providers.due)
        register_sweep(outage.wake_all, outage.waking)
        register_sweep(replay.replay_rest, replay.replaying)
