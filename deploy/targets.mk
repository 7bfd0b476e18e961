# Everything about shipping. The Makefile includes this file; `make` lists its targets too.
.PHONY: lock-images image-check deploy-check workflows-check audit coverage feast wheel deploy rollout release retrain fetch-champion
READY ?= .venv/.ready

lock-images: $(READY) ## Lock again, with hashes, what each container image installs (after `make lock`).
	@for image in serve dashboard watch train; do \
	  .uv/bin/uv pip compile --quiet setup.py --extra $$image --extra postgres --constraint constraints.txt --universal \
	    --python-version 3.11 --no-header --no-annotate --generate-hashes --refresh-package iris-nb \
	    --override deploy/leave-out.txt \
	    --output-file deploy/lock/$$image.txt || exit 1; done
	@for lock in build clients feast; do \
	  .uv/bin/uv pip compile --quiet deploy/lock/$$lock.in --universal --python-version 3.11 --no-header --no-annotate \
	    --generate-hashes --output-file deploy/lock/$$lock.txt || exit 1; done

image-check: $(READY) ## Build every container image, start the service in its own, predict, stop it; check user and size.
	@hadolint Dockerfile
	@python tests/deploy/image.py

# Other people's clients of the service, in an environment of their own: they clash with ours.
CLIENTS := .uv/clients/.ready
$(CLIENTS): deploy/lock/clients.txt | $(READY)
	@echo "Making .uv/clients from deploy/lock/clients.txt…"
	@.uv/bin/uv venv --quiet --clear --python .venv/bin/python .uv/clients
	@.uv/bin/uv pip sync --quiet --python .uv/clients/bin/python --require-hashes deploy/lock/clients.txt
	@touch $@

# A Feast feature server, which pins an older pandas: a source of features, tested against the real one.
FEAST := .uv/feast/.ready
$(FEAST): deploy/lock/feast.txt | $(READY)
	@echo "Making .uv/feast from deploy/lock/feast.txt…"
	@.uv/bin/uv venv --quiet --clear --python .venv/bin/python .uv/feast
	@.uv/bin/uv pip sync --quiet --python .uv/feast/bin/python --require-hashes deploy/lock/feast.txt
	@touch $@

feast: $(READY) $(FEAST) ## Test features that are looked up against a real Feast feature server.
	@IRIS_REQUIRE_TOOLS=1 python -m pytest -q tests/deploy/test_feast.py tests/lookup/test_feast.py

deploy-check: $(READY) test-tools $(CLIENTS) $(FEAST) ## Check what deploys: compose file, proxy, manifests, Prometheus, deploy.sh, the wheel.
	@IRIS_REQUIRE_TOOLS=1 python -m pytest -q tests/deploy --ignore=tests/deploy/test_workflows.py

workflows-check: $(READY) ## Check the workflows: their schema, what they may do, that each job's command exists here.
	@check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	@check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@zizmor --offline --quiet --no-progress .github
	@python -m pytest -q tests/deploy/test_workflows.py

coverage: export COVERAGE_FILE := $(CURDIR)/var/coverage/data
coverage: $(READY) ## Run every test and lesson, and name each line and branch of library and service that none came by.
	@mkdir -p var/coverage && coverage erase
	@coverage run deploy/lessons.py
	@coverage run -m pytest -q --ignore=tests/deploy
	@coverage combine --quiet && coverage report --fail-under=100

audit: $(READY) ## Ask whether a locked requirement has a known weakness (needs the internet).
	@python deploy/audit.py

wheel: $(READY) ## Build the wheel and the source archive into dist/.
	@rm -rf build dist
	@.uv/bin/uv build --quiet --no-build-logs --out-dir dist .
	@ls dist

deploy: ## Deploy this checkout on this machine with docker compose, or go back if it does not answer.
	@deploy/deploy.sh $(OPTIONS)

rollout: ## Roll images out to Kubernetes: make rollout OVERLAY=staging TAG=… REGISTRY=….
	@deploy/rollout.sh $(OVERLAY) --tag $(TAG) $(if $(REGISTRY),--registry $(REGISTRY)) $(OPTIONS)

release: $(READY) ## Make a release of this checkout: make release VERSION=1.2.3 sets the version, dates the changelog, tags.
	@python deploy/release.py $(VERSION)

retrain: $(READY) ## Train, and write what came of it, beside the champion, to var/summary.md; a refusal is no failure.
	@iris-nb train $(OPTIONS) || test $$? = 3
	@python deploy/summary.py > var/summary.md
	@cat var/summary.md

fetch-champion: ## Get what the newest training on the main branch kept, so that there is a champion to beat (GitHub's gh).
	@deploy/fetch-champion.sh
