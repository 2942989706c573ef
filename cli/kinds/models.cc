// Publishers, models, versions and variants.

#include "allod/catalog/v1/model.grpc.pb.h"
#include "cli/kinds/calls.h"

namespace allod::cli::kinds {
namespace {

namespace catalog_v1 = allod::catalog::v1;

ResourceKind PublisherKind() {
  return {.kind = "Publisher",
          .plural = "publishers",
          .pattern = "publishers/*",
          .columns = {{"NAME", "name"}, {"DISPLAY NAME", "display_name"}},
          .prototype = &catalog_v1::Publisher::default_instance(),
          .list = Lister<catalog_v1::PublisherService>(&catalog_v1::PublisherService::Stub::ListPublishers)};
}

ResourceKind ModelKind() {
  return {.kind = "Model",
          .plural = "models",
          .pattern = "models/*",
          .columns = {{"NAME", "name"}, {"PUBLISHER", "publisher"}, {"DISPLAY NAME", "display_name"}},
          .prototype = &catalog_v1::Model::default_instance(),
          .get = Getter<catalog_v1::ModelService>(&catalog_v1::ModelService::Stub::GetModel),
          .list = Lister<catalog_v1::ModelService>(&catalog_v1::ModelService::Stub::ListModels)};
}

ResourceKind VersionKind() {
  return {.kind = "Version",
          .plural = "versions",
          .pattern = "models/*/versions/*",
          .parent_pattern = "models/*",
          .columns = {{"NAME", "name"},
                      {"ARCHITECTURE", "architecture"},
                      {"PARAMETERS", "parameter_count"},
                      {"CONTEXT", "trained_context_tokens"},
                      {"LICENSE", "license"}},
          .prototype = &catalog_v1::Version::default_instance(),
          .get = Getter<catalog_v1::ModelService>(&catalog_v1::ModelService::Stub::GetVersion),
          .list = Lister<catalog_v1::ModelService>(&catalog_v1::ModelService::Stub::ListVersions)};
}

ResourceKind VariantKind() {
  return {.kind = "Variant",
          .plural = "variants",
          .pattern = "models/*/versions/*/variants/*",
          .parent_pattern = "models/*/versions/*",
          .columns = {{"NAME", "name"},
                      {"BYTES", "artifact_bytes"},
                      {"BITS/WEIGHT", "quality.bits_per_weight"},
                      {"PERPLEXITY", "quality.perplexity"},
                      {"MEAN KLD", "quality.mean_kl_divergence"},
                      {"TOP-1 SAME", "quality.top1_agreement"},
                      {"DECODE TOK/S", "quality.decode_tokens_per_second"}},
          .prototype = &catalog_v1::Variant::default_instance(),
          .get = Getter<catalog_v1::ModelService>(&catalog_v1::ModelService::Stub::GetVariant),
          .list = Lister<catalog_v1::ModelService>(&catalog_v1::ModelService::Stub::ListVariants)};
}

}  // namespace

std::vector<ResourceKind> ModelKinds() { return {PublisherKind(), ModelKind(), VersionKind(), VariantKind()}; }

}  // namespace allod::cli::kinds
