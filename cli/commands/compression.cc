#include "cli/commands/compression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "allod/catalog/v1/model.grpc.pb.h"
#include "cli/kinds/registry.h"
#include "cli/net/connections.h"
#include "cli/net/operations.h"
#include "cli/terminal/print.h"
#include "services/common/ids.h"

namespace allod::cli::commands {

namespace catalog_v1 = allod::catalog::v1;
using catalog_v1::ModelService;

std::string CompressionTypes() {
  constexpr std::string_view kPrefix = "COMPRESSION_TYPE_";
  std::string names;
  const auto* types = catalog_v1::CompressionType_descriptor();
  for (int i = 1; i < types->value_count(); ++i) {
    names += (names.empty() ? "" : ", ") + types->value(i)->name().substr(kPrefix.size());
  }
  return names;
}

Status CheckCompressions(std::vector<std::string>& types) {
  for (std::string& type : types) {
    std::string name = type;
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    catalog_v1::CompressionType known{};
    if (!catalog_v1::CompressionType_Parse("COMPRESSION_TYPE_" + name, &known) ||
        known == catalog_v1::COMPRESSION_TYPE_UNSPECIFIED) {
      return InvalidArgument("UNKNOWN_COMPRESSION", fmt::format("'{}' is none of {}", type, CompressionTypes()));
    }
    type = name;
  }
  return {};
}

Status CompressTo(const installation::StateDir& state, const std::string& version,
                  const std::vector<std::string>& types) {
  const auto stub = net::Connect<ModelService>(state);
  for (const auto& type : types) {
    catalog_v1::CreateVariantRequest request;
    request.set_parent(version);
    request.set_compression(type);
    request.set_request_id(Uuid::V7().ToString());
    ALLOD_TRY(const auto operation, net::Ask(*stub, &ModelService::Stub::CreateVariant, request));
    ALLOD_CHECK_OK(net::WaitForChange(state, {"catalog", operation}, "compress to " + type));
  }
  return {};
}

Status ShowVariants(const Globals& globals, const installation::StateDir& state, const std::string& version) {
  ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind("variants"));
  ALLOD_TRY(const auto variants, kind->list(state, version));
  terminal::PrintList(globals.json(), kind->columns, terminal::PointersTo(variants));
  return {};
}

}  // namespace allod::cli::commands
