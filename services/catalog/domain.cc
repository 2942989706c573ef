#include "services/catalog/domain.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "services/common/text_check.h"

namespace allod::catalog {
namespace {

constexpr std::size_t kDescriptionCharsMax = 4096;

constexpr std::array<std::string_view, 8> kCompressions = {"Q8_0", "Q6_K",   "Q5_K_M", "Q4_K_M",
                                                           "Q4_0", "Q3_K_M", "Q2_K",   "IQ4_NL"};

}  // namespace

Status CheckPublisher(const Publisher& publisher) {
  ALLOD_CHECK_OK(CheckId("publisher_id", publisher.id));
  return CheckDisplayName("publisher.display_name", publisher.display_name);
}

Status CheckModel(const Model& model) {
  ALLOD_CHECK_OK(CheckId("model_id", model.id));
  ALLOD_CHECK_OK(CheckDisplayName("model.display_name", model.display_name));
  return CheckText("model.description", model.description, 0, kDescriptionCharsMax, /*multiline=*/true);
}

Status CheckNewVersion(const VersionKey& key, std::string_view source_sha256) {
  ALLOD_CHECK_OK(CheckId("version_id", key.version));
  return CheckSha256("version.source_sha256", source_sha256);
}

std::span<const std::string_view> CompressionTypes() { return kCompressions; }

Result<std::string> CompressionOf(std::string_view compression) {
  std::string type(compression);
  for (char& c : type) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  if (std::ranges::find(kCompressions, type) != kCompressions.end()) return type;
  return InvalidArgument("UNKNOWN_COMPRESSION", fmt::format("compression: '{}' is not one of {}",
                                                            compression.substr(0, 32), fmt::join(kCompressions, ", ")));
}

std::string VariantIdOf(std::string_view compression) {
  std::string id(compression);
  for (char& c : id) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return id;
}

bool SameContent(const Publisher& a, const Publisher& b) { return a.id == b.id && a.display_name == b.display_name; }

bool SameContent(const Model& a, const Model& b) {
  return a.id == b.id && a.publisher == b.publisher && a.display_name == b.display_name &&
         a.description == b.description;
}

Error TakenByOtherContent(std::string_view name) {
  return {Code::kAlreadyExists, "ALREADY_EXISTS",
          fmt::format("{} exists with other content; choose another id, or ask for exactly what is there", name)};
}

std::unexpected<Error> DoesNotExist(std::string_view name) { return NotFound(fmt::format("{} does not exist", name)); }

}  // namespace allod::catalog
