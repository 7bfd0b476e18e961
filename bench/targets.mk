# Everything about speed. The Makefile includes this file; `make` lists its targets too. See bench/README.md.
.PHONY: bench bench-peers bench-train bench-models

bench: $(READY) ## Measure the service alone, by callers, rows, workers and size of the log (needs wrk).
	@python -m bench.service

bench-peers: $(READY) ## Measure the service beside other ways to serve the same model (needs wrk; installs them).
	@python -m bench.peers

bench-train: $(READY) ## Measure training, and scoring ten million rows beside pandas.
	@python -m bench.train
	@python -m bench.score

bench-models: $(READY) ## Measure the champion's log loss beside one-line alternatives, on the same folds of seven tables.
	@python -m bench.models
