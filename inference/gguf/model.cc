#include "inference/gguf/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "inference/gguf/keys.h"
#include "inference/gguf/types.h"
#include "inference/gguf/vocabulary.h"
#include "services/common/text_check.h"

namespace allod::inference::gguf {
namespace {

enum class Experts { kNone, kMaybe, kAlways };
enum class Norm { kRms, kLayer };

struct Architecture {
  std::string_view name;
  Norm norm = Norm::kRms;
  bool rotates_whole_heads = true;
  Experts experts = Experts::kNone;
  // Every how many layers one sees the whole context; 0: all do.
  std::int64_t window_pattern = 0;
};

// Decoders of llama.cpp v0.5.0 whose graphs were read for what they take for granted. Sorted by name.
constexpr auto kArchitectures = std::to_array<Architecture>({
    {.name = "cohere2", .norm = Norm::kLayer, .rotates_whole_heads = false, .window_pattern = 4},
    {.name = "command-r", .norm = Norm::kLayer, .rotates_whole_heads = false},
    {.name = "gemma"},
    {.name = "gemma2", .window_pattern = 2},
    {.name = "gemma3", .window_pattern = 6},
    {.name = "granite"},
    {.name = "internlm2"},
    {.name = "llama", .experts = Experts::kMaybe},
    {.name = "mistral3", .experts = Experts::kMaybe},
    {.name = "olmo2", .window_pattern = 4},
    {.name = "phi2", .norm = Norm::kLayer, .rotates_whole_heads = false},
    {.name = "phi3", .rotates_whole_heads = false},
    {.name = "qwen2"},
    {.name = "qwen2moe", .experts = Experts::kAlways},
    {.name = "qwen3"},
    {.name = "qwen3moe", .experts = Experts::kAlways},
    {.name = "seed-oss"},
    {.name = "smollm3"},
    {.name = "stablelm", .norm = Norm::kLayer, .rotates_whole_heads = false},
    {.name = "starcoder2", .norm = Norm::kLayer},
});
static_assert(std::ranges::is_sorted(kArchitectures, {}, &Architecture::name));

// What the CPU backend multiplies with; the other types are intermediate or hold no weights.
constexpr auto kWeightTypes = std::to_array<std::string_view>(
    {"f32",   "f16",   "bf16",   "q4_0",   "q4_1",    "q5_0",   "q5_1",  "q8_0",    "q2_K",
     "q3_K",  "q4_K",  "q5_K",   "q6_K",   "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s",
     "iq1_s", "iq1_m", "iq4_nl", "iq4_xs", "tq1_0",   "tq2_0",  "mxfp4"});

std::unexpected<Error> BadHyperparameters(const std::string& what) {
  return InvalidArgument("GGUF_BAD_HYPERPARAMETERS", what);
}

Status CheckKeys(Source& source, const GgufHeader& header) {
  for (const auto& [key, value] : header.metadata.values()) {
    const KeyRule* rule = FindKeyRule(header.summary.architecture, key);
    if (rule == nullptr) continue;
    ALLOD_CHECK_OK(CheckValue(key, value, *rule));
    if (rule->kind != KeyKind::kTemplate) continue;
    Cursor cursor(source, value.end);
    ALLOD_CHECK_OK(cursor.Skip(value.end - value.text_bytes, "a template"));
    ALLOD_TRY(const std::string text, cursor.Text(value.text_bytes, "a template"));
    if (auto checked = CheckText("the template", text, 0, kTemplateBytesMax, true); !checked) {
      return InvalidArgument("GGUF_BAD_VALUE",
                             fmt::format("key {} (byte {}): {}", key, value.at, checked.error().message));
    }
  }
  return {};
}

// The header's numbers by their names below the architecture; types and ranges are those of CheckKeys.
class Hyperparameters {
 public:
  explicit Hyperparameters(const GgufHeader& header) : header_(header) {}

  std::string Key(std::string_view name) const { return fmt::format("{}.{}", header_.summary.architecture, name); }
  const Value* Find(std::string_view name) const { return header_.metadata.Find(Key(name)); }
  std::optional<std::int64_t> Number(std::string_view name) const {
    const Value* value = Find(name);
    if (value == nullptr || (value->type == ValueType::kArray && !value->uniform)) return std::nullopt;
    return value->integer;
  }
  Result<std::int64_t> Required(std::string_view name) const {
    if (const auto value = Number(name)) return *value;
    return BadHyperparameters(fmt::format("key {} is missing", Key(name)));
  }

 private:
  const GgufHeader& header_;
};

Result<std::int64_t> HeadWidth(const Hyperparameters& parameters, std::int64_t embedding, std::int64_t heads) {
  const auto keys = parameters.Number("attention.key_length");
  const auto values = parameters.Number("attention.value_length");
  if ((!keys || !values) && embedding % heads != 0) {
    return BadHyperparameters(fmt::format("{} heads do not divide an embedding of {}", heads, embedding));
  }
  const std::int64_t width = keys.value_or(embedding / heads);
  if (values.value_or(embedding / heads) != width) {
    return BadHyperparameters(
        fmt::format("keys of {} and values of {} differ", width, values.value_or(embedding / heads)));
  }
  if (width < 2 || width > 1024)
    return BadHyperparameters(fmt::format("heads are {} wide; 2 to 1024 are accepted", width));
  return width;
}

Status CheckRotation(const Hyperparameters& parameters, const Architecture& architecture, std::int64_t head_width) {
  const std::int64_t rotated = parameters.Number("rope.dimension_count").value_or(head_width);
  if (rotated % 2 != 0 || rotated > head_width || (architecture.rotates_whole_heads && rotated != head_width)) {
    return BadHyperparameters(fmt::format("the rotation covers {} of {} values of a head", rotated, head_width));
  }
  const Value* scaling = parameters.Find("rope.scaling.type");
  if (scaling != nullptr && scaling->text != "none" && scaling->text != "linear" && scaling->text != "yarn" &&
      scaling->text != "longrope") {
    return BadHyperparameters(fmt::format("{} is `{}`; none, linear, yarn and longrope are known",
                                          parameters.Key("rope.scaling.type"), scaling->text));
  }
  return {};
}

Status CheckExperts(const Hyperparameters& parameters, const Architecture& architecture) {
  const std::int64_t experts = parameters.Number("expert_count").value_or(0);
  const std::int64_t used = parameters.Number("expert_used_count").value_or(0);
  if (experts > 0 && architecture.experts == Experts::kNone) {
    return BadHyperparameters(fmt::format("{} models have no experts", architecture.name));
  }
  if (experts == 0 && architecture.experts == Experts::kAlways) {
    return BadHyperparameters(fmt::format("key {} is missing", parameters.Key("expert_count")));
  }
  if (experts == 0 ? used != 0 : used < 1 || used > experts) {
    return BadHyperparameters(fmt::format("{} of {} experts are used", used, experts));
  }
  return {};
}

// The cache of a model with sliding windows expects layers of both kinds.
Status CheckWindows(Source& source, const Hyperparameters& parameters, const Architecture& architecture,
                    std::int64_t layers) {
  const auto window = parameters.Number("attention.sliding_window");
  const bool has_default = architecture.name == "gemma2" || architecture.name == "cohere2";
  if (architecture.window_pattern == 0 || (!has_default && window.value_or(0) == 0)) return {};
  if (window == 0) return BadHyperparameters(fmt::format("key {} is 0", parameters.Key("attention.sliding_window")));
  const Value* pattern = parameters.Find("attention.sliding_window_pattern");
  bool both = false;
  if (pattern != nullptr && pattern->type == ValueType::kArray) {
    if (pattern->elements != static_cast<std::uint64_t>(layers)) {
      return BadHyperparameters(
          fmt::format("the window pattern has {} entries for {} layers", pattern->elements, layers));
    }
    Cursor cursor(source, pattern->end);
    ALLOD_CHECK_OK(cursor.Skip(pattern->end - pattern->elements, "the window pattern"));
    ALLOD_TRY(const std::string flags, cursor.Text(pattern->elements, "the window pattern"));
    const bool any_dense = flags.find('\0') != std::string::npos;
    both = any_dense && flags.find_first_not_of('\0') != std::string::npos;
  } else {
    const std::int64_t every = pattern != nullptr ? pattern->integer : architecture.window_pattern;
    both = every >= 2 && every <= layers;
  }
  if (!both) return BadHyperparameters("layers with and without a sliding window must both occur");
  return {};
}

// "blk.12.attn_q.weight" -> 12; nothing for a tensor of no layer.
std::optional<std::uint64_t> LayerOf(std::string_view name) {
  if (!name.starts_with("blk.")) return std::nullopt;
  name.remove_prefix(4);
  std::uint64_t layer = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return ~0ULL;
  return layer;
}

Status CheckTensors(const std::vector<TensorInfo>& tensors, const ModelShape& shape) {
  bool has_embedding = false;
  for (const TensorInfo& tensor : tensors) {
    // Norms, biases and rotation factors are added and multiplied value by value, which is done in F32.
    const bool is_matrix =
        tensor.shape.size() > 1 && !tensor.name.ends_with("_norm.weight") && !tensor.name.ends_with(".bias");
    if (is_matrix ? std::ranges::find(kWeightTypes, tensor.type->name) == kWeightTypes.end()
                  : tensor.type->name != "f32") {
      return InvalidArgument("GGUF_BAD_TENSOR_TYPE", fmt::format("tensor {} of {} dimensions cannot have the type {}",
                                                                 tensor.name, tensor.shape.size(), tensor.type->name));
    }
    const auto layer = LayerOf(tensor.name);
    if (layer && *layer >= shape.layers) {
      return InvalidArgument("GGUF_BAD_TENSOR_NAME",
                             fmt::format("tensor {} is in no layer of {}", tensor.name, shape.layers));
    }
    if (tensor.name != "token_embd.weight") continue;
    has_embedding = true;
    if (tensor.shape != std::vector<std::uint64_t>{shape.embedding, shape.vocabulary}) {
      return InvalidArgument("GGUF_BAD_SHAPE",
                             fmt::format("token_embd.weight is {}; an embedding of {} for {} tokens is expected",
                                         fmt::join(tensor.shape, " x "), shape.embedding, shape.vocabulary));
    }
  }
  if (!has_embedding) return InvalidArgument("GGUF_BAD_SHAPE", "there is no token_embd.weight");
  return {};
}

// An array of one value per layer has one for each.
Status CheckLayerArrays(const Hyperparameters& parameters, std::int64_t layers) {
  for (const char* name : {"attention.head_count", "attention.head_count_kv", "feed_forward_length"}) {
    const Value* value = parameters.Find(name);
    if (value == nullptr || value->type != ValueType::kArray) continue;
    if (value->elements != static_cast<std::uint64_t>(layers)) {
      return BadHyperparameters(
          fmt::format("key {} has {} values for {} layers", parameters.Key(name), value->elements, layers));
    }
  }
  return {};
}

Result<ModelShape> CheckShape(Source& source, const GgufHeader& header, const Architecture& architecture) {
  const Hyperparameters parameters(header);
  ALLOD_TRY(const std::int64_t context, parameters.Required("context_length"));
  ALLOD_TRY(const std::int64_t layers, parameters.Required("block_count"));
  ALLOD_CHECK_OK(CheckLayerArrays(parameters, layers));
  ALLOD_TRY(const std::int64_t embedding, parameters.Required("embedding_length"));
  ALLOD_TRY(const std::int64_t heads, parameters.Required("attention.head_count"));
  const std::int64_t heads_kv = parameters.Number("attention.head_count_kv").value_or(heads);
  if (heads % heads_kv != 0)
    return BadHyperparameters(fmt::format("{} key heads do not divide {} heads", heads_kv, heads));
  ALLOD_CHECK_OK(parameters.Required(architecture.norm == Norm::kRms ? "attention.layer_norm_rms_epsilon"
                                                                     : "attention.layer_norm_epsilon"));
  ALLOD_TRY(const std::int64_t head_width, HeadWidth(parameters, embedding, heads));
  ALLOD_CHECK_OK(CheckRotation(parameters, architecture, head_width));
  ALLOD_CHECK_OK(CheckExperts(parameters, architecture));
  ALLOD_CHECK_OK(CheckWindows(source, parameters, architecture, layers));
  ModelShape shape;
  shape.layers = static_cast<std::uint64_t>(layers);
  shape.embedding = static_cast<std::uint64_t>(embedding);
  shape.heads = static_cast<std::uint64_t>(heads);
  shape.heads_kv = static_cast<std::uint64_t>(heads_kv);
  shape.head_width = static_cast<std::uint64_t>(head_width);
  shape.context_length = static_cast<std::uint64_t>(context);
  return shape;
}

}  // namespace

std::vector<std::string> SupportedArchitectures() {
  std::vector<std::string> names;
  for (const Architecture& architecture : kArchitectures) names.emplace_back(architecture.name);
  return names;
}

Result<CheckedHeader> ReadModel(Source& source, const Limits& limits) {
  ALLOD_TRY(GgufHeader header, ReadHeader(source, limits));
  const std::string& name = header.summary.architecture;
  const auto architecture = std::ranges::find(kArchitectures, name, &Architecture::name);
  if (architecture == kArchitectures.end()) {
    return InvalidArgument("GGUF_UNSUPPORTED_ARCHITECTURE",
                           fmt::format("models of the architecture {} are not accepted; these are: {}", name,
                                       fmt::join(SupportedArchitectures(), ", ")));
  }
  ALLOD_CHECK_OK(CheckKeys(source, header));
  ALLOD_TRY(ModelShape shape, CheckShape(source, header, *architecture));
  ALLOD_TRY(shape.vocabulary, CheckVocabulary(source, header.metadata));
  ALLOD_CHECK_OK(CheckTensors(header.tensors, shape));
  return CheckedHeader{std::move(header), shape};
}

}  // namespace allod::inference::gguf
