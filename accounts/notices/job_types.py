"""Job types of the emails: the notice of a sign-in, and the emails about an account."""

from django.conf import settings

from accounts.mail import smtp
from accounts.notices import account, alert_digest, providers, security, sign_in, site_disputes
from accounts.suppression import precheck
from jobs.core.job_types import Execution, JobType, Presentation, register
from jobs.core.pauses import Lane

ACCOUNT_TYPES: dict[str, int | None] = {  # how many emails each allows a user in a sliding hour
    account.JOB_TYPE: account.PER_HOUR,
    account.URGENT_TYPE: None,
    security.SECURITY_JOB: None,
    security.ALERT_JOB: security.ALERTS_PER_HOUR,
    alert_digest.SUMMARY_JOB: None,
    site_disputes.DISPUTE_JOB: None,
    site_disputes.SUMMARY_JOB: None,
}
LANES = {  # of those whose readers wait for them, or that many may be sent of
    account.JOB_TYPE: Lane.URGENT,
    account.URGENT_TYPE: Lane.URGENT,
    security.SECURITY_JOB: Lane.ALERT,
    security.ALERT_JOB: Lane.ALERT,
    alert_digest.SUMMARY_JOB: Lane.BULK,
    site_disputes.DISPUTE_JOB: Lane.URGENT,
    site_disputes.SUMMARY_JOB: Lane.ALERT,
}
PER_ADDRESS = {  # how many emails each allows an address in a sliding hour
    account.JOB_TYPE: account.PER_HOUR,
    alert_digest.SUMMARY_JOB: alert_digest.SUMMARIES_PER_HOUR,
    site_disputes.DISPUTE_JOB: site_disputes.DISPUTES_PER_HOUR,
    site_disputes.SUMMARY_JOB: site_disputes.SUMMARIES_PER_HOUR,
}


def register_job_types() -> None:
    """Register every job type whose handler sends an email."""
    register(_sign_in_type())
    for name, per_hour in ACCOUNT_TYPES.items():
        register(_account_type(name, per_hour))


def _sign_in_type() -> JobType:
    return JobType(
        name=sign_in.SIGN_IN_JOB,
        handler=sign_in.deliver,
        per_hour=settings.SIGNIN_EMAILS_PER_HOUR,
        per_address=settings.SIGNIN_EMAILS_PER_ADDRESS,
        execution=Execution(
            precheck=precheck.check_notices,
            threads=True,
            preload=sign_in.preload,
            release=smtp.close_connection,
            exchange=smtp.exchange_breakers,
            probe=providers.probe,
        ),
        presentation=Presentation(
            recipient="email",
            name_keys=frozenset({"name"}),
            preview=sign_in.preview,
            suppressed=precheck.ADVICE,
            user_page=sign_in.person_page,
            user_page_permission="accounts.view_signin",
        ),
    )


def _account_type(name: str, per_hour: int | None) -> JobType:
    return JobType(
        name=name,
        handler=account.deliver,
        per_hour=per_hour,
        per_address=PER_ADDRESS.get(name),
        lane=LANES[name],
        execution=Execution(
            precheck=precheck.check_account_mails, exchange=smtp.exchange_breakers, probe=providers.probe
        ),
        presentation=Presentation(recipient="email", suppressed=precheck.ADVICE),
    )
