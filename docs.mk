# Everything about the documentation. The Makefile includes this file; `make` lists its targets too.
.PHONY: docs docs-preview docs-check

docs: $(READY) ## Build the documentation site into _docs/ (Quarto; fetched where it is missing).
	@python -m docs.build

docs-preview: $(READY) ## Show the documentation site in a browser while you write.
	@python -m docs.build --preview

docs-check: $(READY) ## Check pages, links, anchors and that everything is described, without Quarto.
	@python -m pytest tests/test_docs.py
