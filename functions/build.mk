# The functions as Lambda runs them: static, stripped, and the same bytes from the same source, wherever they are built.

# arm64 or x86_64: what the template deploys by default, so that the two agree.
ARCHITECTURE ?= $(shell sed -n '/^  Architecture:/,/Default:/s/ *Default: //p' template.yaml)
GOARCH_arm64  = arm64
GOARCH_x86_64 = amd64

# On x86_64 SIMD is found out by asking the processor some fifty things at each start, and under a hypervisor each is a trap: half
# a millisecond. Without it a checksum is made at a speed that no function's network has.
TAGS_x86_64 = ,noasm

# $(call bootstrap,function,folder)
define bootstrap
	$(if $(GOARCH_$(ARCHITECTURE)),,$(error ARCHITECTURE is $(ARCHITECTURE), and neither arm64 nor x86_64))
	GOOS=linux GOARCH=$(GOARCH_$(ARCHITECTURE)) CGO_ENABLED=0 go build -trimpath -buildvcs=false \
		-tags=lambda.norpc$(TAGS_$(ARCHITECTURE)) -ldflags='-s -w' -o '$(2)/bootstrap' ./functions/$(1)
endef

FUNCTIONS := $(patsubst functions/%/main.go,%,$(wildcard functions/*/main.go))

.PHONY: functions $(FUNCTIONS:%=bin/functions/%)
functions: $(FUNCTIONS:%=bin/functions/%)
$(FUNCTIONS:%=bin/functions/%): bin/functions/%:
	$(call bootstrap,$*,$@)

# What `sam build` makes, by the logical id in template.yaml, with a folder of its own in ARTIFACTS_DIR.
.PHONY: build-PresignUploadFunction build-ObjectCreatedFunction build-MigrateBatchFunction build-SweepUploadsFunction build-DeliverEventsFunction build-MigrateSchemaFunction
build-PresignUploadFunction:
	$(call bootstrap,presign-upload,$(ARTIFACTS_DIR))
build-ObjectCreatedFunction:
	$(call bootstrap,object-created,$(ARTIFACTS_DIR))
build-MigrateBatchFunction:
	$(call bootstrap,migrate-batch,$(ARTIFACTS_DIR))
build-SweepUploadsFunction:
	$(call bootstrap,sweep-uploads,$(ARTIFACTS_DIR))
build-DeliverEventsFunction:
	$(call bootstrap,deliver-events,$(ARTIFACTS_DIR))
build-MigrateSchemaFunction:
	$(call bootstrap,migrate-schema,$(ARTIFACTS_DIR))
