# The two commands of the README are `make demo` and `make test`; both set everything up by themselves.
# A machine needs Python 3.11 or newer, git and make; the rest comes into .venv from the package index.
UV_VERSION := 0.13.9
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
DEMO_DATE := 2026-11-02

# Python's compiled modules are kept: without them each process compiles all it imports, 12 s with Great Expectations.
unexport PYTHONDONTWRITEBYTECODE
# Prefect talks to nobody but this machine.
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: setup wheel docs sbom audit demo demo-model weeks picture clinician-pictures commissioner-picture county faults bench test test-slow check format schemas lock clean

setup: .venv/ready

.venv/ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "stratify needs Python 3.11 or newer, found " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

# The documentation site, offline: build/site/index.html. docs/site_hook.py makes the rest of its pages.
docs: setup
	$(BIN)/python -m mkdocs build --quiet --strict

# What it is made of (CycloneDX), with licences: docs/dependencies.md.
sbom: setup
	$(BIN)/stratify safety sbom requirements.lock --out build/sbom.json

# What is known to be weak in what is locked, asked of a service on the network: docs/dependencies.md. --strict, or a
# package that the service could not be asked about would count as a sound one.
audit:
	test -x build/audit/bin/pip-audit || { $(PYTHON) -m venv build/audit && build/audit/bin/pip install --quiet pip-audit==2.10.1; }
	build/audit/bin/pip-audit --strict --requirement requirements.lock --require-hashes --disable-pip

wheel: setup
	rm -rf dist && $(BIN)/uv build --quiet --wheel --no-build-isolation --out-dir dist

# The same county as `stratify demo`, which runs the stages by themselves; here as the Prefect flow.
demo: setup
	$(BIN)/stratify synth --out $(DEMO)/extracts --people 20000 --seed 1 --index-date $(DEMO_DATE) --truth $(DEMO)/truth --replace
	PREFECT_HOME=$(CURDIR)/$(DEMO)/.prefect PREFECT_LOGGING_LEVEL=WARNING $(BIN)/python -m flows.weekly docs/demo.settings.yaml
	$(BIN)/stratify synth score $(DEMO) $(DEMO)/truth
	@echo "Open $(DEMO)/published/direct_care for the lists, $(DEMO)/published/data_quality/index.html for the data."

# The admission-risk model, fitted and reviewed on a large invented county with a year more of history: some 15 minutes of
# CPU. It comes out as the one in use, number by number (docs/models.md). Promoting is a person's.
MODEL := emergency_admission_12_months
demo-model: setup
	$(BIN)/stratify synth --out $(DEMO)/model/extracts --people 100000 --practices 40 --seed 5 --history-years 4 --clean \
		--index-date $(DEMO_DATE) --format parquet --replace
	$(BIN)/stratify run --settings docs/model.settings.yaml || test $$? = 10
	rm -rf $(DEMO)/model/models
	$(BIN)/stratify model fit $(MODEL) --on $(DEMO)/model/out --into $(DEMO)/model/models --version 0.3.0
	$(BIN)/stratify model compare $(MODEL) 0.3.0 --on $(DEMO)/model/out --from $(DEMO)/model/models \
		--out $(DEMO)/model/models/$(MODEL)-0.3.0.review.json
	$(BIN)/stratify model card $(MODEL) 0.2.0 --on $(DEMO)/model/out --out $(DEMO)/model/card

# Four weeks in a row of a small county whose teams answer their lists: what is new, waits, was invited, came, went back.
WEEKS := 2026-11-02 2026-11-09 2026-11-16 2026-11-23
weeks: setup
	rm -rf $(DEMO)/weeks && mkdir -p $(DEMO)/weeks/returned
	$(BIN)/stratify synth --out $(DEMO)/weeks/extracts --people 2000 --seed 1 --index-date $(firstword $(WEEKS)) --weeks 3 --weekly bulk
	set -e; for day in $(WEEKS); do \
		$(BIN)/stratify run --settings docs/weeks.settings.yaml --index-date $$day > $(DEMO)/weeks/$$day.txt || test $$? = 10; \
		$(BIN)/stratify synth answer $(DEMO)/weeks/out --into $(DEMO)/weeks/returned; \
	done
	$(BIN)/stratify returned weeks $(DEMO)/weeks/out

# The README's picture, from the demo's own list. Needs LibreOffice and poppler.
picture: demo
	rm -rf $(DEMO)/picture && mkdir -p $(DEMO)/picture
	soffice --headless --convert-to pdf --outdir $(DEMO)/picture $(DEMO)/published/direct_care/Y00001/copd_clinic/clinic_list_copd_clinic_TEST_$(DEMO_DATE).xlsx
	pdftoppm -png -singlefile -r 110 -f 2 -l 2 -x 0 -y 0 -W 1290 -H 450 $(DEMO)/picture/clinic_list_copd_clinic_TEST_$(DEMO_DATE).pdf docs/clinic-list

# The pictures of docs/for-clinicians.md, from the last of the four weeks. Needs LibreOffice and poppler.
LAST := $(DEMO)/weeks/out/published/direct_care/Y00001
SHOTS := $(DEMO)/weeks/pictures
clinician-pictures: weeks
	rm -rf $(SHOTS) && mkdir -p $(SHOTS)
	cp $(LAST)/frailty_clinic/clinic_list_*.xlsx $(SHOTS)/list.xlsx && cp $(LAST)/feedback/feedback_form_*.xlsx $(SHOTS)/said.xlsx
	cp $$(ls $(DEMO)/weeks/returned/*/feedback/feedback_form_*.xlsx | head -n 1) $(SHOTS)/form.xlsx
	soffice --headless --convert-to pdf --outdir $(SHOTS) $(SHOTS)/list.xlsx $(SHOTS)/said.xlsx $(SHOTS)/form.xlsx
	pdftoppm -png -singlefile -r 80 -f 1 -l 1 -x 110 -y 35 -W 440 -H 380 $(SHOTS)/list.pdf docs/clinicians-cover
	pdftoppm -png -singlefile -r 95 -f 1 -l 1 -x 55 -y 60 -W 1000 -H 220 $(SHOTS)/form.pdf docs/clinicians-form
	pdftoppm -png -singlefile -r 95 -f 2 -l 2 -x 60 -y 60 -W 990 -H 150 $(SHOTS)/said.pdf docs/clinicians-said

# The picture of docs/for-commissioners.md, from the demo's own dashboard. Needs chromium.
commissioner-picture: demo
	chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --window-size=1000,760 \
		--screenshot=docs/commissioners-dashboard.png file://$(CURDIR)/$(DEMO)/published/secondary_use/dashboard.html

# How near the invented county is to England: docs/county.md and its plots.
county: setup
	$(BIN)/stratify synth --out $(DEMO)/county/extracts --people 100000 --seed 11 --clean --truth $(DEMO)/county/truth --replace
	$(BIN)/stratify synth report $(DEMO)/county/extracts $(DEMO)/county/truth --out docs/county.md

# What a run does about each of the 56 faults, planted alone: docs/faults.md.
faults: setup
	$(BIN)/stratify synth trial --out docs/faults.md --people 1000

# What loading costs beside a plain typed load, and scoring beside a plain script: docs/performance.md. PEOPLE=100000 LIMIT=1GB.
PEOPLE ?= 20000
bench: setup
	$(BIN)/python -m benchmarks --people $(PEOPLE) $(if $(LIMIT),--memory-limit $(LIMIT))

test: setup
	$(BIN)/pytest --numprocesses 2 --dist loadfile -m "not slow"

test-slow: setup
	$(BIN)/pytest --numprocesses 2 --dist loadfile -m slow

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/stratify rules test
	$(BIN)/stratify schemas schemas --check
	$(BIN)/stratify rules check --against schemas/rule_versions.json
	$(BIN)/stratify rules docs docs/rules --versions schemas/rule_versions.json --check
	$(BIN)/stratify safety docs docs/safety --check

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schemas: setup
	$(BIN)/stratify schemas schemas
	$(BIN)/stratify rules versions schemas/rule_versions.json
	$(BIN)/stratify rules docs docs/rules --versions schemas/rule_versions.json
	$(BIN)/stratify safety docs docs/safety

lock:
	$(BIN)/uv pip compile pyproject.toml --extra dask --extra dev --extra docs --universal --generate-hashes --no-header --no-emit-index-url --output-file requirements.lock

clean:
	rm -rf $(DEMO) .venv build dist
