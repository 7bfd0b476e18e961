# Everything about the documentation. The Makefile includes this file; `make` lists its targets too.
.PHONY: docs docs-preview docs-check site-check

docs: $(READY) ## Run the pipeline and build the documentation site into _docs/ (Quarto; fetched where it is missing).
	@python -m docs.build --run

site-check: $(READY) ## Check the site that `make docs` built: scripts, ids, links, search, and every page in a browser.
	@python -m docs.check
	@python -m docs.look

docs-preview: $(READY) ## Show the documentation site in a browser while you write.
	@python -m docs.build --preview

docs-check: $(READY) ## Check pages, links, anchors and that everything is described, without Quarto.
	@python -m pytest tests/test_docs.py
