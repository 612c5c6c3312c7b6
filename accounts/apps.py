from django.apps import AppConfig
from django.conf import settings
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("People")

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in
        from django.db.models.signals import post_delete, pre_delete

        from accounts import account_mails, disputes, emails, kept, notices, signals, suppression
        from jobs import registry

        user_logged_in.connect(signals.signed_in, dispatch_uid="accounts.signed_in")
        registry.register(
            registry.JobType(
                name=notices.JOB_TYPE,
                handler=notices.deliver,
                per_hour=settings.SIGNIN_EMAILS_PER_HOUR,
                probe=emails.probe,
                preview=notices.preview,
                names=frozenset({"name"}),
                screen=suppression.notices,
                threads=True,
                warm=notices.warm,
                at_rest=emails.hang_up,
                person=notices.sign_ins_page,
                person_permission="accounts.view_signin",
            )
        )
        for name, per_hour in ((account_mails.JOB_TYPE, account_mails.PER_HOUR), (account_mails.URGENT_TYPE, None)):
            registry.register(
                registry.JobType(
                    name=name,
                    handler=account_mails.deliver,
                    per_hour=per_hour,
                    probe=emails.probe,
                    screen=suppression.answers,
                )
            )
        registry.register_sweep(notices.enqueue_owed, notices.owed)
        registry.register_sweep(disputes.tell_owed, disputes.owed)
        registry.register_pruner(kept.prune)
        pre_delete.connect(signals.person_goes, sender="accounts.User", dispatch_uid="accounts.person_goes")
        post_delete.connect(signals.person_gone, sender="accounts.User", dispatch_uid="accounts.person_gone")
