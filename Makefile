# `make demo` and `make test` are all that a fresh machine needs (Python 3.11+, make).
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
PEERS_INSTALLED := .venv-peers/.installed
NETFLIX_INSTALLED := .venv-netflix/.installed
# Prometheus with promtool, Alertmanager with amtool, the proxies, a browser with Chinese fonts.
TOOLS := prometheus prometheus-alertmanager nginx-light haproxy chromium chromium-driver fonts-wqy-microhei poppler-utils
ID := 2026-double11
AS_OF := 2026-10-20
export OMP_NUM_THREADS ?= 1

.PHONY: demo sample tools test check format lab lock benchmarks benchmarks-peers benchmarks-plan clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --group dev
	touch $@

demo: $(INSTALLED)  ## the sample company: forecast, saturation, plan, retrospective, as pages
	$(BIN)/capacity -w . init . --sample
	$(BIN)/capacity -w . plan $(ID) --as-of $(AS_OF) --approve demo
	$(BIN)/capacity -w . report run forecast saturation plan --promotion $(ID) --as-of $(AS_OF) --jobs 2
	$(BIN)/capacity -w . report run retrospective --promotion $(ID)
	@$(BIN)/python -m webbrowser -t "file://$(CURDIR)/reports/index.html" >/dev/null 2>&1 || true
	@echo "Open reports/index.html"

sample: $(INSTALLED)  ## write the sample company of the repository root anew, after a change of its process
	rm -rf capacity.toml data truth
	$(BIN)/capacity init . --sample

tools: $(INSTALLED)  ## the real programs that exported files and pages are tested with; Debian's packages need root
	@if [ "$$(id -u)" -ne 0 ]; then echo "make tools installs Debian packages: run it as root (sudo make tools)"; exit 2; fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(TOOLS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group tools

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile -q

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lab: $(INSTALLED)
	$(BIN)/capacity -w . lab

lock: $(INSTALLED)
	@{ echo "# Versions this project is tested with. Made by \`make lock\`."; \
	  $(BIN)/python -m pip freeze --exclude-editable | sort -f; } > constraints.next && mv constraints.next constraints.txt

benchmarks: $(INSTALLED)
	$(BIN)/python -m benchmarks

$(PEERS_INSTALLED): benchmarks/peers/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

benchmarks-peers: $(INSTALLED) $(PEERS_INSTALLED)  ## beside Prophet, statsforecast and LightGBM; half an hour and more
	$(BIN)/python -m benchmarks forecast $(ARGS)

$(NETFLIX_INSTALLED): benchmarks/peers/netflix-requirements.txt
	$(PYTHON) -m venv .venv-netflix
	.venv-netflix/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

benchmarks-plan: $(INSTALLED) $(NETFLIX_INSTALLED)  ## a plan for a thousand services, and Netflix's planner on one
	$(BIN)/python -m benchmarks plan $(ARGS)

clean:
	rm -rf .venv .venv-peers .venv-netflix data/tables data/rejected data/plans truth reports
