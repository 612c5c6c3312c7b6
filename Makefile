# make run     the site, its worker and a local mailbox, on this machine     PORT=8123 make run    (ARGS= shows each request)
# make demo    new passwords for the demo accounts
# make test    the whole suite                                               make test ARGS="-k mailbox"
# make test-fast  the quick unit and database tests, in two minutes          make test-fast ARGS=-x
# make coverage   the suite on PostgreSQL, and the lines of code that it ran
# make test-world   the long state machines, silent and failing servers, npm's mail reader, other sites' applications, more variants of pages           DISPUTE_EXAMPLES=5000 make test-world
# make test-matrix  the suite on each pair of Python and Django for which the machine has the Python     PAIRS=3.12:6.1 make test-matrix ARGS="-k mailbox"
# make check   format, lint, types, imports, security, words, templates, translations, deployment settings
# make lint-deploy   every check of compose.yaml, deploy/ and .github/ for which the machine has tools
# make smoke   five cases against a running site: `make run`, or any          make smoke URL=https://... KEY=nk_...
# make chaos   everything is killed, cut off or full while emails are counted  make chaos MINUTES=20 KINDS=stop-postgres,failover
# make outage  the mail server is stopped for two minutes, then started again
# make outages  a full disk, a relay denial, a quota and a wrong sender, each until it is over
# make seed    believable jobs by the million, to try the operators' pages   make seed N=5000000 USERS=500000
# make five-questions  clicks and seconds of five questions of an operator, and their pictures for docs/operators.md
# make admin-bench  how quick those pages are then                           make admin-bench > docs/admin-at-scale.md
# make html    every page is valid HTML (html-validate, from npm)            make html ARGS=-x
# make lighthouse   accessibility and performance of five pages (npm)        make lighthouse ARGS="--rounds 1"
# make prune-bench  does a job wait while 1,000,000 old ones are pruned?      make prune-bench OLD=100000 RATE=50
# make bench   ours and ten other queues, the same work in one run           make bench ROUNDS=3 JOBS=1000 ONLY=ours,huey
#              (QUICK=1: one small round; with it or ONLY no document is written; N=200: sign-ins of benchmarks/sign_in.py)
# make bench-growth  the rate with millions of rows, more workers, clusters   make bench-growth ONLY=empty,finished SCALE=0.1
# make bench-ideas   what each idea of the fast path gives alone             make bench-ideas ROUNDS=3 JOBS=4000
# make bench-lanes   what waits behind 100,000 routine notices, as part of make bench   make bench-lanes BEHIND=10000
# make bench-tasks   tasks here and on six other queues, as part of make bench    make bench-tasks ROUNDS=1 JOBS=200 ONLY=ours,ox
# make bench-api     posts a second of one key, and two floors, as part of make bench     make bench-api ROUNDS=1 ONLY=ours
# make soak    an hour at 60 % of the top rate: memory, bloat, latency       make soak MINUTES=60 RATE=600
# make screenshots  pictures of every page and email, as contact sheets in var/screenshots/     make screenshots ARGS="--only overview,emails"
# make openapi   writes docs/openapi.json, the description of the HTTP API
# make docs    the documentation site, in var/docs
# make upgrade-test  a database of version 0.9.0 with jobs of every status is upgraded, on PostgreSQL and SQLite   make upgrade-test ENGINES=sqlite
# make release   checks all that a release needs, then tags the version     make release DRY=1 ONLY=lock,packages
# make format, make messages   format the code; collect and compile the translations
# make countries   the names of countries, from CLDR, for a language         make countries ADD=kk TO=/etc/notifier/locale
# make language    an empty catalogue of a language, or what is new in it    make language ADD=kk TO=/etc/notifier/locale
# make lock    pins the packages of pyproject.toml, for every Python         make lock UPGRADE=--upgrade

VENV ?= .venv
PYTHON_IN = $(VENV)/bin/python
BOOTSTRAP ?= scripts/bootstrap
export VENV

.DEFAULT_GOAL := help
.PHONY: help run demo smoke chaos outage outages test test-fast test-world test-matrix coverage check screenshots lint-deploy format lock messages countries language openapi seed bench bench-growth bench-ideas bench-lanes bench-api bench-tasks soak \
	admin-bench five-questions prune-bench html lighthouse docs upgrade-test release

help:
	@sed -n 's/^# //p' Makefile

run: ARGS ?= --quiet
run:
	@$(BOOTSTRAP) requirements.txt
	@$(BOOTSTRAP) requirements-local.txt
	@DEBUG=$${DEBUG-1} exec $(PYTHON_IN) manage.py run $(ARGS)

demo:
	@$(BOOTSTRAP) requirements.txt
	@DEBUG=$${DEBUG-1} $(PYTHON_IN) manage.py migrate --verbosity 0
	@DEBUG=$${DEBUG-1} exec $(PYTHON_IN) manage.py demo --new-passwords

smoke:
	@scripts/bootstrap requirements.txt
	@PYTHON=$(PYTHON_IN) scripts/smoke.sh "$${URL:-http://127.0.0.1:$${PORT:-8000}}" "$${KEY:-$$(DEBUG=$${DEBUG-1} \
		$(PYTHON_IN) manage.py create_api_key smoke --scope enqueue --scope read --scope admin --expires-days 1 2>/dev/null)}"

test:
	@$(BOOTSTRAP) requirements-dev.txt
	@VENV=$(VENV) scripts/test $(ARGS)

test-fast:
	@$(BOOTSTRAP) requirements-dev.txt
	@VENV=$(VENV) scripts/test fast $(ARGS)

coverage:
	@$(BOOTSTRAP) requirements-dev.txt
	@VENV=$(VENV) scripts/test coverage $(ARGS)

test-world:
	@$(BOOTSTRAP) requirements-dev.txt
	@WORLD=1 DISPUTE_EXAMPLES=$${DISPUTE_EXAMPLES:-5000} scripts/test tests/database/test_every_order_of_a_dispute.py tests/database/test_no_hostile_body_breaks_the_api.py \
		tests/processes/test_other_programs_read_what_was_written.py tests/processes/test_the_api_keeps_its_document.py tests/browser/test_every_page_is_accessible.py tests/browser/test_the_mail_is_readable_on_every_screen.py $(ARGS)
	@scripts/test -m world $(ARGS)
	@scripts/test-matrix $(ARGS)

test-matrix:
	@scripts/test-matrix $(ARGS)

chaos: MINUTES ?= 20
chaos:
	@$(BOOTSTRAP) requirements-dev.txt
	@$(PYTHON_IN) -m tests.chaos --minutes $(MINUTES) --kinds "$(KINDS)" $(ARGS)

outage:
	@$(BOOTSTRAP) requirements-dev.txt
	@$(PYTHON_IN) -m tests.support.outage $(ARGS)

outages:
	@$(BOOTSTRAP) requirements-dev.txt
	@$(PYTHON_IN) -m tests.support.outages $(ARGS)

check:
	@$(BOOTSTRAP) requirements-dev.txt
	@VENV=$(VENV) scripts/check

lint-deploy:
	@$(BOOTSTRAP) requirements-dev.txt
	@VENV=$(VENV) scripts/check-deploy

format:
	@$(BOOTSTRAP) requirements-dev.txt
	@$(VENV)/bin/ruff check --fix --quiet . ; $(VENV)/bin/ruff format .

messages:
	@$(BOOTSTRAP) requirements-dev.txt
	@for app in jobs accounts notifier; do (cd $$app && DEBUG=1 $(abspath $(PYTHON_IN)) ../manage.py makemessages $(CATALOGUES) --no-location --no-obsolete); done
	@DEBUG=1 $(PYTHON_IN) manage.py makemessages $(CATALOGUES) --no-location --no-obsolete -i '.venv*' -i node_modules -i jobs -i accounts -i notifier
	@DEBUG=1 $(PYTHON_IN) manage.py compilemessages $(CATALOGUES) -i '.venv*' -i node_modules

SHIPPED = mn # languages with catalogues here; the texts in the code are English
CATALOGUES = $(addprefix -l ,$(SHIPPED))

countries: ADD ?= en $(SHIPPED)
countries: TO ?= locale
countries:
	@$(BOOTSTRAP) requirements-dev.txt
	@$(PYTHON_IN) scripts/countries.py $(TO) $(ADD)

language:
	@$(BOOTSTRAP) requirements-dev.txt
	@$(PYTHON_IN) scripts/language.py $(TO) $(ADD)

screenshots:
	@$(BOOTSTRAP) requirements-dev.txt
	@$(PYTHON_IN) -m tests.screenshots $(ARGS)

openapi:
	@$(BOOTSTRAP) requirements.txt
	@DEBUG=1 SITE_URL=https://localhost $(PYTHON_IN) scripts/openapi.py

docs:
	@VENV=.venv-docs $(BOOTSTRAP) requirements-docs.txt
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --clean
	@echo "var/docs/index.html is the first page. To search in the pages: python3 -m http.server --directory var/docs"

upgrade-test: ENGINES ?= postgresql sqlite
upgrade-test:
	@$(BOOTSTRAP) requirements-dev.txt
	@for engine in $(ENGINES); do $(PYTHON_IN) -m tests.upgrade --engine $$engine || exit 1; done

release:
	@$(BOOTSTRAP) requirements-dev.txt
	@$(PYTHON_IN) -m scripts.release

seed:
	@$(BOOTSTRAP) requirements.txt
	@DEBUG=$${DEBUG-1} $(PYTHON_IN) manage.py migrate --verbosity 0
	@DEBUG=$${DEBUG-1} $(PYTHON_IN) manage.py seed --jobs $${N:-100000} --users $${USERS:-0}

admin-bench:
	@$(BOOTSTRAP) requirements-dev.txt >&2
	@$(PYTHON_IN) -m tests.support.admin_at_scale $(ARGS)

html:
	@$(BOOTSTRAP) requirements-dev.txt
	@VENV=$(VENV) scripts/test tests/processes/test_every_page_is_valid_html.py $(ARGS)

lighthouse:
	@$(BOOTSTRAP) requirements-dev.txt >&2
	@$(PYTHON_IN) -m tests.support.lighthouse $(ARGS)

five-questions:
	@$(BOOTSTRAP) requirements-dev.txt >&2
	@VENV=$(VENV) SCREENSHOTS=docs/images/operators scripts/test tests/browser/test_the_five_questions_of_an_operator.py -s $(ARGS)

BENCH = VENV=.venv-bench $(BOOTSTRAP) requirements-bench.txt && exec .venv-bench/bin/python -m

bench:
	@$(BENCH) benchmarks.compare
	@[ -n "$$ONLY$$QUICK" ] || ($(BENCH) benchmarks.lanes)
	@[ -n "$$ONLY$$QUICK" ] || ($(BENCH) benchmarks.api)
	@[ -n "$$ONLY$$QUICK" ] || ($(BENCH) benchmarks.stream)
	@[ -n "$$ONLY$$QUICK" ] || (export ONLY=empty,finished-waiting,workers-4,workers-8 && $(BENCH) benchmarks.growth)
	@[ -n "$$ONLY$$QUICK" ] || $(MAKE) --no-print-directory bench-tasks
	@$(BENCH) benchmarks.goals

# django-ox needs Python 3.12; with another one it is left out.
BENCH_PYTHONS = python3.12 $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.12.*/bin/python python3

bench-tasks:
	@VENV=.venv-bench-tasks PYTHON="$(BENCH_PYTHONS)" $(BOOTSTRAP) requirements-bench.txt && exec .venv-bench-tasks/bin/python -m benchmarks.tasks

bench-growth:
	@$(BENCH) benchmarks.growth

bench-ideas:
	@$(BENCH) benchmarks.ideas

bench-lanes:
	@$(BENCH) benchmarks.lanes

bench-api:
	@$(BENCH) benchmarks.api

soak:
	@$(BENCH) benchmarks.soak

prune-bench:
	@$(BOOTSTRAP) requirements.txt
	@$(PYTHON_IN) benchmarks/prune.py

lock:
	@$(BOOTSTRAP) requirements-dev.txt
	@$(PYTHON_IN) -m pip install --quiet --disable-pip-version-check uv
	@$(COMPILE) pyproject.toml --group site -o requirements.txt
	@$(COMPILE) -c requirements.txt pyproject.toml --group dev -o requirements-dev.txt
	@$(COMPILE) -c requirements-dev.txt --group local -o requirements-local.txt
	@$(COMPILE) -c requirements-dev.txt --group anymail -o requirements-anymail.txt
	@$(COMPILE) -c requirements-dev.txt --group otel -o requirements-otel.txt
	@$(COMPILE) -c requirements-dev.txt --group sentry -o requirements-sentry.txt
	@$(COMPILE) -c requirements-dev.txt pyproject.toml --extra sqs -o requirements-sqs.txt
	@$(COMPILE) -c requirements-dev.txt --group docs -o requirements-docs.txt
	@$(COMPILE) -c requirements-dev.txt pyproject.toml --group bench -o requirements-bench.txt
	@scripts/dependencies.py

COMPILE = $(PYTHON_IN) -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-strip-extras --python-version 3.11 $(UPGRADE)
