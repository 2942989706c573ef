#include "inference/gguf/keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "inference/gguf/types.h"

namespace allod::inference::gguf {
namespace {

using enum KeyKind;

constexpr double kWidthMax = 1 << 20;
constexpr double kExpertsMax = 1024;  // llama.cpp sizes its arrays by it
constexpr double kRealMax = 1e12;

// Sorted by name.
constexpr auto kGeneralRules = std::to_array<KeyRule>({
    {"general.architecture", kName, 1, 64},
    {"general.file_type", kCount, 0, 1023},
    {"general.license", kLabel, 0, kLabelBytesMax},
    {"general.name", kLabel, 0, kLabelBytesMax},
    {"general.quantization_version", kCount, 0, 1023},
    {"tokenizer.chat_template", kTemplate, 0, kTemplateBytesMax},
    {"tokenizer.chat_template.tool_use", kTemplate, 0, kTemplateBytesMax},
    {"tokenizer.ggml.add_bos_token", kFlag},
    {"tokenizer.ggml.add_eos_token", kFlag},
    {"tokenizer.ggml.add_space_prefix", kFlag},
    {"tokenizer.ggml.bos_token_id", kTokenId},
    {"tokenizer.ggml.eom_token_id", kTokenId},
    {"tokenizer.ggml.eos_token_id", kTokenId},
    {"tokenizer.ggml.eot_token_id", kTokenId},
    {"tokenizer.ggml.fim_mid_token_id", kTokenId},
    {"tokenizer.ggml.fim_pad_token_id", kTokenId},
    {"tokenizer.ggml.fim_pre_token_id", kTokenId},
    {"tokenizer.ggml.fim_rep_token_id", kTokenId},
    {"tokenizer.ggml.fim_sep_token_id", kTokenId},
    {"tokenizer.ggml.fim_suf_token_id", kTokenId},
    {"tokenizer.ggml.mask_token_id", kTokenId},
    {"tokenizer.ggml.merges", kStrings},
    {"tokenizer.ggml.model", kName, 1, 64},
    {"tokenizer.ggml.padding_token_id", kTokenId},
    {"tokenizer.ggml.pre", kName, 1, 64},
    {"tokenizer.ggml.remove_extra_whitespaces", kFlag},
    {"tokenizer.ggml.scores", kReals},
    {"tokenizer.ggml.seperator_token_id", kTokenId},
    {"tokenizer.ggml.token_type", kIntegers},
    {"tokenizer.ggml.tokens", kStrings},
    {"tokenizer.ggml.unknown_token_id", kTokenId},
});

// Below the architecture's name; sorted. Numbers that a graph divides by start above zero.
constexpr auto kModelRules = std::to_array<KeyRule>({
    {"attention.causal", kFlag},
    {"attention.clamp_kqv", kReal, 0, kRealMax},
    {"attention.head_count", kLayerCount, 1, 1024},
    {"attention.head_count_kv", kLayerCount, 1, 1024},
    {"attention.key_length", kCount, 2, 1024},
    {"attention.layer_norm_epsilon", kReal, 0, 1},
    {"attention.layer_norm_rms_epsilon", kReal, 0, 1},
    {"attention.scale", kReal, 0, kRealMax},
    {"attention.sliding_window", kCount, 0, 1 << 24},
    {"attention.sliding_window_pattern", kCountOrFlags, 0, 512},
    {"attention.temperature_scale", kReal, 0, kRealMax},
    {"attention.value_length", kCount, 2, 1024},
    {"attn_logit_softcapping", kReal, 1e-3, kRealMax},
    {"block_count", kCount, 1, 512},
    {"context_length", kCount, 1, 1 << 24},
    {"embedding_length", kCount, 2, kWidthMax},
    {"embedding_scale", kReal, 0, kRealMax},
    {"expert_count", kCount, 0, kExpertsMax},
    {"expert_feed_forward_length", kCount, 1, kWidthMax},
    {"expert_shared_feed_forward_length", kCount, 0, kWidthMax},
    {"expert_used_count", kCount, 0, kExpertsMax},
    {"expert_weights_norm", kFlag},
    {"expert_weights_scale", kReal, 0, kRealMax},
    {"feed_forward_length", kLayerCount, 1, kWidthMax},
    {"final_logit_softcapping", kReal, 0, kRealMax},
    {"logit_scale", kReal, 1e-9, kRealMax},
    {"pooling_type", kCount, 0, 4},
    {"residual_scale", kReal, 0, kRealMax},
    {"rope.dimension_count", kCount, 2, 1024},
    {"rope.freq_base", kReal, 1, kRealMax},
    {"rope.freq_base_swa", kReal, 1, kRealMax},
    {"rope.scale_linear", kReal, 0, kRealMax},
    {"rope.scaling.attn_factor", kReal, 0, kRealMax},
    {"rope.scaling.factor", kReal, 0, kRealMax},
    {"rope.scaling.finetuned", kFlag},
    {"rope.scaling.original_context_length", kCount, 1, 1 << 24},
    {"rope.scaling.type", kName, 1, 16},
    {"rope.scaling.yarn_attn_factor", kReal, 0, kRealMax},
    {"rope.scaling.yarn_beta_fast", kReal, 1e-3, kRealMax},
    {"rope.scaling.yarn_beta_slow", kReal, 1e-3, kRealMax},
    {"rope.scaling.yarn_ext_factor", kReal, -1, kRealMax},
    {"rope.scaling.yarn_log_multiplier", kReal, 0, kRealMax},
    {"use_parallel_residual", kFlag},
});

static_assert(std::ranges::is_sorted(kGeneralRules, {}, &KeyRule::name));
static_assert(std::ranges::is_sorted(kModelRules, {}, &KeyRule::name));

const KeyRule* FindIn(std::span<const KeyRule> rules, std::string_view name) {
  const auto it = std::ranges::lower_bound(rules, name, {}, &KeyRule::name);
  return it != rules.end() && it->name == name ? &*it : nullptr;
}

std::unexpected<Error> Bad(const std::string& key, const Value& value, const std::string& what) {
  return InvalidArgument("GGUF_BAD_VALUE", fmt::format("key {} (byte {}): {}", key, value.at, what));
}

Status Expect(const std::string& key, const Value& value, ValueType type, const char* called) {
  if (value.type == type) return {};
  return Bad(key, value, fmt::format("{} is expected", called));
}

Status ExpectArray(const std::string& key, const Value& value, ValueType element, const char* called) {
  if (value.type == ValueType::kArray && value.element == element) return {};
  return Bad(key, value, fmt::format("an array of {} is expected", called));
}

Status CheckRange(const std::string& key, const Value& value, const KeyRule& rule) {
  const auto number = static_cast<double>(value.integer);
  if (number >= rule.min && number <= rule.max) return {};
  return Bad(key, value, fmt::format("is {}; {:.0f} to {:.0f} are accepted", value.integer, rule.min, rule.max));
}

Status CheckCount(const std::string& key, const Value& value, const KeyRule& rule) {
  ALLOD_CHECK_OK(Expect(key, value, ValueType::kUint32, "a uint32"));
  return CheckRange(key, value, rule);
}

// llama.cpp reads such an array, but the graphs of the architectures that are accepted have layers of one shape.
Status CheckLayerCount(const std::string& key, const Value& value, const KeyRule& rule) {
  if (value.type != ValueType::kArray) return CheckCount(key, value, rule);
  if (value.uniform) return CheckRange(key, value, rule);
  return Bad(key, value,
             "a uint32 is expected, or an array of them that says the same for every layer: layers that differ are not "
             "accepted");
}

Status CheckReal(const std::string& key, const Value& value, const KeyRule& rule) {
  ALLOD_CHECK_OK(Expect(key, value, ValueType::kFloat32, "a float32"));
  if (value.real >= rule.min && value.real <= rule.max) return {};  // false for NaN
  return Bad(key, value, fmt::format("is {}; {} to {} are accepted", value.real, rule.min, rule.max));
}

Status CheckName(const std::string& key, const Value& value, const KeyRule& rule) {
  ALLOD_CHECK_OK(Expect(key, value, ValueType::kString, "a string"));
  if (value.text_bytes <= rule.max && IsPlainName(value.text, static_cast<std::uint64_t>(rule.max))) return {};
  return Bad(key, value, fmt::format("a name of 1 to {:.0f} printable characters is expected", rule.max));
}

Status CheckTemplate(const std::string& key, const Value& value, const KeyRule& rule) {
  ALLOD_CHECK_OK(Expect(key, value, ValueType::kString, "a string"));
  if (value.text_bytes <= static_cast<std::uint64_t>(rule.max)) return {};
  return InvalidArgument(
      "GGUF_LIMIT", fmt::format("key {} (byte {}): a template of {} bytes; at most {:.0f} are accepted", key, value.at,
                                value.text_bytes, rule.max));
}

}  // namespace

const KeyRule* FindKeyRule(std::string_view architecture, std::string_view key) {
  if (const KeyRule* rule = FindIn(kGeneralRules, key)) return rule;
  if (!key.starts_with(architecture) || !key.substr(architecture.size()).starts_with('.')) return nullptr;
  return FindIn(kModelRules, key.substr(architecture.size() + 1));
}

Status CheckValue(const std::string& key, const Value& value, const KeyRule& rule) {
  switch (rule.kind) {
    case kCountOrFlags:
      if (value.type == ValueType::kArray) {
        ALLOD_CHECK_OK(ExpectArray(key, value, ValueType::kBool, "booleans"));
        if (value.elements >= 1 && value.elements <= static_cast<std::uint64_t>(rule.max)) return {};
        return Bad(key, value, fmt::format("{} elements; 1 to {:.0f} are accepted", value.elements, rule.max));
      }
      return CheckCount(key, value, rule);
    case kCount:
      return CheckCount(key, value, rule);
    case kLayerCount:
      return CheckLayerCount(key, value, rule);
    case kReal:
      return CheckReal(key, value, rule);
    case kFlag:
      return Expect(key, value, ValueType::kBool, "a boolean");
    case kName:
      return CheckName(key, value, rule);
    case kLabel:
      return Expect(key, value, ValueType::kString, "a string");
    case kTemplate:
      return CheckTemplate(key, value, rule);
    case kTokenId:
      return Expect(key, value, ValueType::kUint32, "a uint32");
    case kStrings:
      return ExpectArray(key, value, ValueType::kString, "strings");
    case kReals:
      return ExpectArray(key, value, ValueType::kFloat32, "float32");
    case kIntegers:
      return ExpectArray(key, value, ValueType::kInt32, "int32");
  }
  return Internal("a key rule of an unknown kind");
}

}  // namespace allod::inference::gguf
