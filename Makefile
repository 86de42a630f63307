# Every target but doctor makes .venv first when it is missing or older than the pins. `make help` lists them.
#   PYTHON=/path/to/python3   the interpreter that makes .venv (3.11, 3.12 or 3.13)
#   CHAPTER=vae               for chapter: one; for execute, bands and full: one, or several in quotes

BIN := .venv/bin
PINS := requirements-lock.txt pyproject.toml
URL ?=
REMOTE ?= origin
BRANCH ?= main
CHAPTER ?=
STUDY ?=
# Not from the environment, where some systems keep a NAME of their own
NAME :=
AFTER :=
ONLY :=
UPGRADE :=
PYTHON ?=
export PYTHON
# A kernel starts in the folder of its notebook: what is relative to this one is made whole for it.
ifneq ($(filter-out /%,$(firstword $(MNIST_NPZ))),)
override MNIST_NPZ := $(CURDIR)/$(MNIST_NPZ)
export MNIST_NPZ
endif
# Each file of tests stays in one process, and each chapter in one kernel.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help doctor book lint unit new-chapter chapter test lab execute bands full studies fresh benchmark breakages mutation others soak gpu serve score colab-test links lock sbom licences plain-sphinx pdf epub publish push-colab publish-rehearsal set-repository clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "make %-16s %s\n", $$1, $$2}'

.venv/.installed: $(PINS)
	@sh tools/bootstrap.sh .venv requirements-lock.txt .

# What Colab's image has, for the tests that play a Colab session
.venv-colab/.installed: tools/colab_image.txt
	@sh tools/bootstrap.sh .venv-colab tools/colab_image.txt

# What makes the lock, the bill of materials and the table of licences
.venv-supply/.installed: tools/supply.txt
	@sh tools/bootstrap.sh .venv-supply tools/supply.txt

# PyTorch is an extra of one chapter, whose tests skip without it: its CPU build, where the package index offers one.
.venv/.torch: .venv/.installed requirements-torch.txt
	@if said=$$($(BIN)/python -m pip install --quiet --quiet --retries 1 --no-deps --requirement requirements-torch.txt 2>&1); then touch $@; else \
		case $$said in *"No matching distribution"*) ;; *) echo "$$said" >&2 ;; esac; \
		echo "No CPU build of PyTorch from this package index: the tests of its chapter will skip."; \
	fi

# It makes no .venv: it looks at what there is.
doctor: ## say what this machine has of what the book needs, and what to do about the rest
	@"$(or $(wildcard $(BIN)/python),$(PYTHON),python3)" -m helpers.book.doctor

# Every page anew: an incremental build is silent about the warnings of pages that did not change.
BUILD = $(BIN)/jupyter-book build . --all --quiet --nitpick --warningiserror --keep-going

book: .venv/.installed ## build the site from the stored outputs into _build/html
	@$(BUILD)
	@echo "The book is in $(CURDIR)/_build/html; open index.html there."

lint: .venv/.installed ## check style, spelling and types, in seconds
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy helpers

unit: .venv/.installed ## check what an edit of helpers needs: its own tests, and what chapters and package must look like
	$(PYTEST) -m 'not slow and not soak' tests/helpers tests/tools/test_structure.py tests/book/test_notebooks.py

new-chapter: .venv/.installed ## write a chapter to fill in, which passes its tests at once (NAME=my_topic, behind AFTER=fairness)
	$(BIN)/python -m tools.new_chapter "$(NAME)" "$(AFTER)"

chapter: .venv/.installed .venv/.torch ## check all that concerns one chapter (CHAPTER=vae)
	$(PYTEST) --chapter "$(CHAPTER)" notebooks tests/book

test: lint .venv-colab/.installed .venv/.torch ## check everything: style, spelling, types, units, chapters, site, one Colab session
	$(PYTEST) --durations 25

lab: .venv/.installed .venv/.torch ## open the chapters in JupyterLab
	$(BIN)/jupyter lab notebooks --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate

execute: .venv/.installed .venv/.torch ## run the chapters in place and store their outputs (CHAPTER=vae: one)
	$(BIN)/python -m tools.execute $(CHAPTER)

bands: .venv/.installed .venv/.torch ## measure the reference bands of what changed (CHAPTER=vae: one)
	$(BIN)/python -m tools.measure bands $(CHAPTER)

full: .venv/.installed .venv/.torch ## run the chapters on MNIST, hours on two cores, and write their records (MNIST_NPZ=path, or a download)
	$(BIN)/python -m tools.measure full $(CHAPTER)

studies: .venv/.installed .venv/.torch ## run the studies whose record is not of the code as it stands (STUDY=gan_vs_vae_seeds: one)
	$(BIN)/python -m tools.measure studies $(STUDY)

fresh: .venv/.installed .venv/.torch ## measure all that is stale, chapters' outputs last (MNIST_NPZ=path, or a download)
	$(BIN)/python -m tools.measure fresh

benchmark: .venv/.installed .venv/.torch ## compare our training with other ways to do the same, in one table
	$(BIN)/python -m tools.measure studies training_speed
	$(BIN)/python -m studies.training_speed_table

breakages: .venv/.installed ## break the code on purpose and show which check catches it
	$(BIN)/python -m tests.breakages

gpu: .venv/.installed ## run gan, vae and flow in full on this machine's GPU, minutes, for the page of costs (MNIST_NPZ=path, or a download)
	$(BIN)/python -m tools.gpu $(CHAPTER)

mutation: .venv/.installed ## change 300 places in helpers, one at a time, and show which test notices, hours; it goes on where it was stopped
	$(BIN)/python -m tests.mutation

# What checks, at its pins, beside what helpers depends on
CHECKS = $(shell grep -E '^(hypothesis|ipykernel|nbclient|nbformat|nbval|pytest|pytest-xdist)==' requirements.txt)
INTO = .venv-supply/bin/uv pip install --quiet --python .venv-others
others: .venv/.installed .venv-supply/.installed ## set up other Pythons, where they are here, and the newest and the oldest versions, for soak to try
	@for version in 3.12 3.13; do \
		UV_PYTHON_DOWNLOADS=never .venv-supply/bin/uv venv --quiet --clear --python $$version .venv-others/$$version || continue; \
		$(INTO)/$$version --require-hashes --requirement requirements-lock.txt && $(INTO)/$$version --no-deps --editable . || exit 1; \
	done
	@for versions in newest:highest oldest:lowest-direct; do \
		.venv-supply/bin/uv venv --quiet --clear --python $(BIN)/python .venv-others/$${versions%:*} && \
		$(INTO)/$${versions%:*} --upgrade --resolution $${versions#*:} --editable . $(CHECKS) || exit 1; \
	done

soak: .venv/.installed .venv/.torch ## kill, starve, fuzz and repeat, then mutation, hours, for the page of promises (ONLY=kill: the tests so named, alone)
	$(PYTEST) --soak -m soak $(if $(ONLY),-k "$(ONLY)") --durations 10 tests
	$(if $(ONLY),,$(BIN)/python -m tests.mutation)

colab-test: .venv/.installed .venv-colab/.installed ## play a Colab session of every chapter
	$(BIN)/pytest --numprocesses 2 -m "slow or not slow" tests/tools/test_colab.py

serve: .venv/.installed ## serve a small generator on this machine's port 8000, and train it first where there is none (FOLDER=digits-1.0.0)
	$(BIN)/python -m helpers.book.service $(FOLDER)

score: .venv/.installed ## score anyone's images of digits by the book's measures (FILE=samples.npz, DIGITS=mnist: against MNIST, KEY=name)
	@$(BIN)/python -m helpers.book.score_samples $(if $(KEY),--key "$(KEY)") $(if $(DIGITS),--digits "$(DIGITS)") $(if $(FILE),"$(FILE)")

links: .venv/.installed ## ask every address that the pages link to whether it is still there, minutes
	@$(BIN)/jupyter-book build . --builder linkcheck --path-output _build/links --keep-going

plain-sphinx: .venv/.installed ## build the site with Sphinx at the newest versions, without Jupyter Book, into _build/plain
	@$(BIN)/python -m tools.plain_sphinx

publish: .venv/.installed ## build the site for GitHub Pages and the chapters for Colab (URL=https://github.com/...)
	@BOOK_REPOSITORY="$(URL)" BOOK_COLAB_BRANCH=colab $(BUILD)
	@$(BIN)/python -m tools.colab_copies "$(URL)"

# Of the site as it stands, which is built where there is none; built anew, it names the two files where they are.
_build/html/index.html: | .venv/.installed
	@$(BUILD)

pdf: .venv/.installed _build/html/index.html ## print the whole book of the built site as a PDF, minutes, with a browser
	@$(BIN)/python book/_ext/book_pdf.py _build/html

epub: .venv/.installed _build/html/index.html ## write the whole book of the built site for e-book readers, with a browser
	@$(BIN)/python book/_ext/book_epub.py _build/html

# soupsieve wants 3.11.5. The lines keep no "< 3.14", with which pip would install nothing there, and say nothing.
LOCK = .venv-supply/bin/uv pip compile --quiet --universal --python-version 3.11.5 --only-binary :all: \
	--emit-build-options --generate-hashes --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
SHORTER := s/ ; python_full_version < .3[.]14. \\$$/ \\/; s/python_full_version < .3[.]14. and //

lock: .venv-supply/.installed ## pin what requirements.txt brings along, with the hash of each file (UPGRADE=1: the newest of it)
	$(LOCK) requirements.txt --group torch-brings --output-file requirements-lock.txt
	$(LOCK) --group supply --constraint requirements-lock.txt --output-file tools/supply.txt
	@for file in requirements-lock.txt tools/supply.txt; do \
		sed -E '$(SHORTER)' $$file > $$file.new && mv $$file.new $$file || exit 1; \
	done

sbom: .venv/.installed .venv-supply/.installed ## list all that is installed as a CycloneDX bill of materials, _build/sbom.json
	@mkdir -p _build
	.venv-supply/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml --output-file _build/sbom.json $(BIN)/python

licences: .venv/.installed .venv/.torch .venv-supply/.installed ## write the licence of every package into LICENSE-PACKAGES.md
	@sed '/^| Name/,$$d' LICENSE-PACKAGES.md > LICENSE-PACKAGES.new
	.venv-supply/bin/pip-licenses --python $(BIN)/python --with-system --ignore-packages pip generative-book --format markdown >> LICENSE-PACKAGES.new
	@mv LICENSE-PACKAGES.new LICENSE-PACKAGES.md

# No .venv: whoever may push runs git and Python's own modules only.
push-colab: ## push those chapters as the branch colab (REMOTE=origin)
	@"$(or $(wildcard $(BIN)/python),$(PYTHON),python3)" -m tools.push_colab "$(REMOTE)"

publish-rehearsal: .venv/.installed ## play publishing a fork, from the push on, with a repository in a folder
	$(BIN)/pytest -m slow tests/book/test_rehearsal.py

set-repository: .venv/.installed ## write the book's address into chapters and _config.yml (URL=https://github.com/... BRANCH=main)
	$(BIN)/python -m tools.set_repository "$(URL)" "$(BRANCH)"

clean: ## remove all that these targets made, .venv included
	rm -rf _build .venv .venv-colab .venv-newest .venv-others .venv-supply .pytest_cache .ruff_cache
