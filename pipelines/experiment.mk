# One experiment as file-to-file rules: a finished step is not repeated, and -j runs
# what is independent. Used by `make experiment`, pipelines/run.sh and pipelines/demo.sh:
#   make -f pipelines/experiment.mk CONFIG=configs/demo.yaml OUT=runs/demo
#
# CONFIG   the experiment's YAML          OUT     folder of its files
# DATA     where the configuration's relative paths start
# SEED     overrides the configuration's  BIN     folder of the executables
# FLAGS    further flags for every tool (--threads 2, --no-provenance)
# With another SEED, DATA or FLAGS than before, all steps are made anew.
CONFIG ?= $(error CONFIG=configs/NAME.yaml is needed)
OUT ?= $(error OUT=folder is needed)
ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))..)
BIN ?= $(ROOT)/build/bin
SEED ?=
FLAGS ?=

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all FORCE
all: $(OUT)/report.html

flags := $(if $(DATA),--data-root $(DATA)) $(if $(SEED),--seed $(SEED)) $(FLAGS)
common := --config $(CONFIG) $(flags)

# A backbone that the experiment made for itself stands beside its files.
own_backbone := $(wildcard $(OUT)/backbone.pt)
backbone := $(if $(own_backbone),--backbone $(own_backbone))

# Each step notes its seconds and its peak memory beside its file, and is resumed where
# an earlier run left a partial file; with --force, one of other settings is begun anew.
step = @mkdir -p $(OUT)/steps && \
  $(ROOT)/scripts/measured.py $(OUT)/steps/$(1).json \
    $(BIN)/cachectl-$(1) $(common) $(2) $(if $(wildcard $@.partial*),--resume) --force >$(OUT)/steps/$(1).txt

$(OUT)/steps/asked: FORCE
	@$(ROOT)/pipelines/asked.sh $(OUT) $(flags)

$(OUT)/profile.h5: $(CONFIG) $(OUT)/steps/asked $(own_backbone)
	$(call step,profile,$(backbone) --out $@)

$(OUT)/medial.h5: $(OUT)/profile.h5
	$(call step,collect,$(backbone) --profile $< --out $@)

$(OUT)/study.h5: $(OUT)/medial.h5 $(OUT)/profile.h5
	$(call step,search,--medial $(OUT)/medial.h5 --profile $(OUT)/profile.h5 --out $@)

$(OUT)/caches.h5: $(OUT)/medial.h5 $(OUT)/study.h5
	$(call step,train,$(backbone) --medial $(OUT)/medial.h5 --study $(OUT)/study.h5 --out $@)

$(OUT)/calibrated.h5: $(OUT)/caches.h5 $(OUT)/medial.h5
	$(call step,calibrate,--medial $(OUT)/medial.h5 --caches $(OUT)/caches.h5 --out $@)

$(OUT)/plan.h5: $(OUT)/calibrated.h5 $(OUT)/medial.h5 $(OUT)/profile.h5
	$(call step,select,$(backbone) --medial $(OUT)/medial.h5 --caches $(OUT)/calibrated.h5 --profile $(OUT)/profile.h5 --out $@)

# The report is made twice from one run: figures for programs, a page for people.
$(OUT)/report.h5: $(OUT)/plan.h5 $(OUT)/calibrated.h5
	$(call step,eval,$(backbone) --plan $< --caches $(OUT)/calibrated.h5 --out $@ --html $(OUT)/report.html)
$(OUT)/report.html: $(OUT)/report.h5 ;
