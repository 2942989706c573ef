// What the marketplace holds, publishers, models, versions and variants, and which of them are valid. Pure: no I/O, no
// clock.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/result.h"

namespace allod::catalog {

struct Publisher {
  std::string id;
  std::string display_name;
  Time create_time;

  std::string name() const { return "publishers/" + id; }
};

struct Model {
  std::string id;
  std::string publisher;  // publisher's id
  std::string display_name;
  std::string description;
  Time create_time;

  std::string name() const { return "models/" + id; }
};

// Names one version: `models/{model}/versions/{version}`.
struct VersionKey {
  std::string model;
  std::string version;

  std::string name() const { return "models/" + model + "/versions/" + version; }
  auto operator<=>(const VersionKey&) const = default;
};

struct VariantKey {
  VersionKey version;
  std::string variant;

  std::string name() const { return version.name() + "/variants/" + variant; }
  auto operator<=>(const VariantKey&) const = default;
};

struct QualityReport {
  std::int64_t bytes = 0;
  double bits_per_weight = 0;
  double perplexity = 0;
  double source_perplexity = 0;
  double mean_kl_divergence = 0;  // nats
  double top1_agreement = 0;      // 0 to 1
  std::int32_t evaluated_tokens = 0;
  std::string evaluation_text_sha256;
  double decode_tokens_per_second = 0;
  double prefill_tokens_per_second = 0;
  std::string measured_on;
  Time measure_time;

  bool operator==(const QualityReport&) const = default;
};

// How many tensors have each ggml type.
using TensorTypes = std::map<std::string, std::int32_t>;

// What was read from a version's file.
struct VersionFacts {
  std::string architecture;
  std::int64_t parameter_count = 0;
  std::int32_t trained_context_tokens = 0;
  std::int32_t vocabulary_size = 0;
  bool has_chat_template = false;
  std::int64_t kv_bytes_per_token = 0;  // at 16 bits, over all layers; 0: not known

  bool operator==(const VersionFacts&) const = default;
};

struct Version {
  VersionKey key;
  std::string license;
  std::string source_sha256;
  VersionFacts facts;
  Time create_time;
};

inline constexpr std::string_view kSourceVariant = "source";
inline constexpr std::string_view kSourceCompression = "SOURCE";

struct Variant {
  VariantKey key;
  std::string compression;
  std::string artifact_sha256;
  std::int64_t artifact_bytes = 0;
  QualityReport quality;
  TensorTypes tensor_types;
  Time create_time;
};

// Checks of what operators give. INVALID_ARGUMENT with INVALID_ID, INVALID_TEXT, INVALID_LICENSE, INVALID_DIGEST or
// UNKNOWN_COMPRESSION, naming the field.
Status CheckPublisher(const Publisher& publisher);
Status CheckModel(const Model& model);
Status CheckNewVersion(const VersionKey& key, std::string_view source_sha256);
// Every type that a version can be compressed to, best first.
std::span<const std::string_view> CompressionTypes();
// The type as it is called, Q4_K_M, from that or from the id of its variant, q4_k_m.
Result<std::string> CompressionOf(std::string_view compression);
// The variant's id: the type in lower case.
std::string VariantIdOf(std::string_view compression);

// Whether a create request asks for what is already there (times aside).
bool SameContent(const Publisher& a, const Publisher& b);
bool SameContent(const Model& a, const Model& b);
// ALREADY_EXISTS / ALREADY_EXISTS.
Error TakenByOtherContent(std::string_view name);
std::unexpected<Error> DoesNotExist(std::string_view name);

}  // namespace allod::catalog
