# Everything about shipping. The Makefile includes this file; `make` lists its targets too.
.PHONY: lock-images image-check deploy-check workflows-check

# The same versions as in constraints.txt, for each image, with the hash of every file.
lock-images: $(READY) ## Lock again, with hashes, what each container image installs.
	@for image in serve dashboard train; do \
	  .uv/bin/uv pip compile --quiet setup.py --extra $$image --extra postgres --constraint constraints.txt --universal \
	    --python-version 3.11 --no-header --no-annotate --generate-hashes --refresh-package iris-nb \
	    --output-file deploy/lock/$$image.txt; done
	@.uv/bin/uv pip compile --quiet deploy/lock/build.in --universal --python-version 3.11 --no-header --no-annotate \
	  --generate-hashes --output-file deploy/lock/build.txt

image-check: $(READY) ## Build every container image, start the service in its own, predict, stop it; check user and size.
	@hadolint Dockerfile
	@python tests/deploy/image.py

deploy-check: $(READY) ## Check what deploys: compose file, manifests, Prometheus rules and series, deploy.sh.
	@python -m pytest tests/deploy

workflows-check: $(READY) ## Check the workflows: their schema, what they may do, that each job's command exists here.
	@check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@zizmor --offline --quiet --no-progress .github
