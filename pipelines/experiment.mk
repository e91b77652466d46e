# One experiment as file-to-file rules: a finished step is not repeated. pipelines/run.sh, and by it
# `make experiment` and `make demo`, uses them, after it has made the backbone where that is missing:
#   make -f pipelines/experiment.mk CONFIG=configs/cifar10-resnet56.yaml OUT=runs/mine DATA=folder
#
# CONFIG   the experiment's YAML          OUT     folder of its files
# DATA     where the configuration's relative paths start
# SEED     overrides the configuration's  BIN     folder of the executables
# FLAGS    further flags for every tool (--threads 2, --device cuda, --no-provenance)
# A step is made anew when its own settings, the files it reads or an earlier step changed: another
# epsilon asks for another plan and report, and leaves the cache models as they are.
CONFIG ?= $(error CONFIG=configs/NAME.yaml is needed)
OUT ?= $(error OUT=folder is needed)
ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))..)
BIN ?= $(ROOT)/build/bin
SEED ?=
FLAGS ?=

.SUFFIXES:
.PHONY: all FORCE
all: $(OUT)/report.html

common := --config $(CONFIG) $(if $(DATA),--data-root $(DATA)) $(if $(SEED),--seed $(SEED)) $(FLAGS)

# A backbone that the experiment made for itself stands beside its files; its content is in each
# step's .asked.
own_backbone := $(wildcard $(OUT)/backbone.pt)
backbone := $(if $(own_backbone),--backbone $(own_backbone))
common_to = $(common) $(if $(filter search calibrate,$(1)),,$(backbone))

study := $(if $(shell $(ROOT)/pipelines/by_hand.sh $(BIN) $(common)),,$(OUT)/study.h5)

# Each step notes its seconds and its peak memory beside its file, and is resumed where
# an earlier run left a partial file; with --force, one of other settings is begun anew.
step = @$(ROOT)/scripts/measured.py $(OUT)/steps/$(1).json \
    $(BIN)/cachectl-$(1) $(call common_to,$(1)) $(2) $(if $(wildcard $@.partial*),--resume) --force \
    >$(OUT)/steps/$(1).txt

$(OUT)/steps/%.asked: FORCE
	@$(ROOT)/pipelines/asked.sh $(OUT) $* $(BIN)/cachectl-$* $(call common_to,$*)

$(OUT)/profile.h5: $(OUT)/steps/profile.asked
	$(call step,profile,--out $@)

$(OUT)/medial.h5: $(OUT)/steps/collect.asked $(OUT)/profile.h5
	$(call step,collect,--profile $(OUT)/profile.h5 --out $@)

$(OUT)/study.h5: $(OUT)/steps/search.asked $(OUT)/medial.h5 $(OUT)/profile.h5
	$(call step,search,--medial $(OUT)/medial.h5 --profile $(OUT)/profile.h5 --out $@)

$(OUT)/caches.h5: $(OUT)/steps/train.asked $(OUT)/medial.h5 $(study)
	$(call step,train,--medial $(OUT)/medial.h5 $(if $(study),--study $(study)) --out $@)

$(OUT)/calibrated.h5: $(OUT)/steps/calibrate.asked $(OUT)/caches.h5 $(OUT)/medial.h5
	$(call step,calibrate,--medial $(OUT)/medial.h5 --caches $(OUT)/caches.h5 --out $@)

$(OUT)/plan.h5: $(OUT)/steps/select.asked $(OUT)/calibrated.h5 $(OUT)/medial.h5 $(OUT)/profile.h5
	$(call step,select,--medial $(OUT)/medial.h5 --caches $(OUT)/calibrated.h5 --profile $(OUT)/profile.h5 --out $@)

# The report is made twice from one run: figures for programs, a page for people.
$(OUT)/report.h5 $(OUT)/report.html &: $(OUT)/steps/eval.asked $(OUT)/plan.h5 $(OUT)/calibrated.h5 $(OUT)/medial.h5
	$(call step,eval,--plan $(OUT)/plan.h5 --caches $(OUT)/calibrated.h5 --medial $(OUT)/medial.h5 \
	  --out $(OUT)/report.h5 --html $(OUT)/report.html)
