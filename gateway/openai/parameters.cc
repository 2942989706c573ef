#include "gateway/openai/parameters.h"

#include <fmt/format.h>

#include <charconv>

namespace allod::gateway::openai {
namespace {

constexpr std::size_t kStopsMax = 4;
constexpr std::size_t kStopBytesMax = 256;
constexpr std::size_t kModelBytesMax = 300;
constexpr std::size_t kLogitBiasesMax = 300;

http::ParamResult<void> AddStop(const std::string& path, const http::Json& value, Request& out) {
  if (!value.is_string()) return http::BadParam(path, "INVALID_TYPE", path + " must be a string");
  std::string stop = value.get<std::string>();
  if (stop.empty() || stop.size() > kStopBytesMax) {
    return http::BadParam(path, "OUT_OF_RANGE",
                          fmt::format("{} must have 1 to {} bytes, not {}", path, kStopBytesMax, stop.size()));
  }
  out.generate.add_stop(std::move(stop));
  return {};
}

http::ParamResult<void> ParseStop(http::JsonFields& fields, Request& out) {
  const http::Json* stop = fields.Find("stop");
  if (!stop) return {};
  if (!stop->is_array()) return AddStop("stop", *stop, out);
  if (stop->size() > kStopsMax) {
    return http::BadParam("stop", "OUT_OF_RANGE",
                          fmt::format("stop has {} entries; at most {} are allowed", stop->size(), kStopsMax));
  }
  for (std::size_t i = 0; i < stop->size(); ++i) {
    ALLOD_CHECK_OK(AddStop(fmt::format("stop[{}]", i), (*stop)[i], out));
  }
  return {};
}

http::ParamResult<void> ParseSampling(http::JsonFields& fields, Request& out) {
  inference::v1::Sampling& sampling = *out.generate.mutable_sampling();
  ALLOD_TRY(const auto temperature, fields.Number("temperature", 0, 2));
  ALLOD_TRY(const auto top_p, fields.Number("top_p", 0, 1));
  ALLOD_TRY(const auto min_p, fields.Number("min_p", 0, 1));
  ALLOD_TRY(const auto top_k, fields.Integer("top_k", 0, 1 << 20));
  ALLOD_TRY(const auto frequency, fields.Number("frequency_penalty", -2, 2));
  ALLOD_TRY(const auto presence, fields.Number("presence_penalty", -2, 2));
  ALLOD_TRY(const auto seed, fields.Integer("seed", INT64_MIN, INT64_MAX));
  if (temperature) sampling.set_temperature(static_cast<float>(*temperature));
  if (top_p) sampling.set_top_p(static_cast<float>(*top_p));
  if (min_p) sampling.set_min_p(static_cast<float>(*min_p));
  if (top_k) sampling.set_top_k(static_cast<std::int32_t>(*top_k));
  if (frequency) sampling.set_frequency_penalty(static_cast<float>(*frequency));
  if (presence) sampling.set_presence_penalty(static_cast<float>(*presence));
  // OpenAI seeds have 64 bits, the sampler's 32: the low half keeps equal seeds equal.
  if (seed) sampling.set_seed(static_cast<std::uint32_t>(*seed));
  return {};
}

http::ParamResult<std::int32_t> TokenId(const std::string& path, const std::string& key) {
  std::int32_t id = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc() || end != key.data() + key.size() || id < 0) {
    return http::BadParam(path, "INVALID_VALUE",
                          fmt::format("{}: the keys of logit_bias are token ids (numbers)", path));
  }
  return id;
}

http::ParamResult<void> ParseLogitBias(http::JsonFields& fields, Request& out) {
  const http::Json* bias = fields.Find("logit_bias");
  if (!bias) return {};
  if (!bias->is_object()) return http::BadParam("logit_bias", "INVALID_TYPE", "logit_bias must be an object");
  if (bias->size() > kLogitBiasesMax) {
    return http::BadParam(
        "logit_bias", "OUT_OF_RANGE",
        fmt::format("logit_bias has {} entries; at most {} are allowed", bias->size(), kLogitBiasesMax));
  }
  http::JsonFields inner(*bias, "logit_bias.");
  for (const auto& [key, value] : bias->items()) {
    ALLOD_TRY(const std::int32_t id, TokenId("logit_bias." + key.substr(0, 32), key));
    ALLOD_TRY(const auto number, inner.Number(key, -100, 100));
    if (number) (*out.generate.mutable_sampling()->mutable_logit_bias())[id] = static_cast<float>(*number);
  }
  return {};
}

http::ParamResult<void> ParseStream(http::JsonFields& fields, Request& out) {
  ALLOD_TRY(const auto stream, fields.Bool("stream"));
  out.stream = stream.value_or(false);
  const http::Json* options = fields.Find("stream_options");
  if (!options) return {};
  if (!out.stream) {
    return http::BadParam("stream_options", "INVALID_PARAMETER",
                          "stream_options is only allowed together with stream: true");
  }
  if (!options->is_object())
    return http::BadParam("stream_options", "INVALID_TYPE", "stream_options must be an object");
  http::JsonFields inner(*options, "stream_options.");
  ALLOD_TRY(const auto include_usage, inner.Bool("include_usage"));
  out.include_usage = include_usage.value_or(false);
  ALLOD_CHECK_OK(inner.Bool("include_obfuscation"));
  return inner.CheckUnknown();
}

http::ParamResult<void> CheckMetadata(http::JsonFields& fields) {
  const http::Json* metadata = fields.Find("metadata");
  if (!metadata) return {};
  if (!metadata->is_object()) return http::BadParam("metadata", "INVALID_TYPE", "metadata must be an object");
  http::JsonFields inner(*metadata, "metadata.");
  for (const auto& [key, value] : metadata->items()) ALLOD_CHECK_OK(inner.String(key));
  return {};
}

// Hints that change nothing here must still be what they are.
http::ParamResult<void> CheckHints(http::JsonFields& fields) {
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}) {
    ALLOD_CHECK_OK(fields.String(name));
  }
  ALLOD_TRY(const auto tier, fields.String("service_tier"));
  if (tier && tier != "auto" && tier != "default") {
    return UnsupportedParam("service_tier",
                            "service_tier: there is one tier only; leave it out, or send auto or default");
  }
  return CheckMetadata(fields);
}

}  // namespace

std::unexpected<http::ParamError> UnsupportedParam(std::string param, std::string message) {
  return http::BadParam(std::move(param), "UNSUPPORTED_PARAMETER", std::move(message));
}

http::ParamResult<void> RefuseUnless(http::JsonFields& fields, const std::string& name, const http::Json& harmless) {
  const http::Json* value = fields.Find(name);
  if (!value || *value == harmless) return {};
  return UnsupportedParam(fields.Path(name), fmt::format("{} is not supported here; leave it out", fields.Path(name)));
}

http::ParamResult<void> CheckChoices(std::int64_t choices, std::int64_t max_concurrency) {
  if (max_concurrency <= 0 || choices <= max_concurrency) return {};
  return http::BadParam("n", "OUT_OF_RANGE",
                        fmt::format("n is {}; this instance writes at most {} answers at once (its max_concurrency)",
                                    choices, max_concurrency));
}

http::ParamResult<std::string> ParseModel(http::JsonFields& fields) {
  ALLOD_TRY(const auto model, fields.String("model"));
  if (!model || model->empty() || model->size() > kModelBytesMax) {
    return http::BadParam("model", "MISSING_PARAMETER", "model is required: the id of an instance, see GET /v1/models");
  }
  return *model;
}

http::ParamResult<void> ParseCommonParameters(http::JsonFields& fields, Request& out) {
  ALLOD_TRY(out.model, ParseModel(fields));
  ALLOD_CHECK_OK(ParseStream(fields, out));
  ALLOD_CHECK_OK(ParseSampling(fields, out));
  ALLOD_CHECK_OK(ParseStop(fields, out));
  ALLOD_CHECK_OK(ParseLogitBias(fields, out));
  ALLOD_TRY(const auto choices, fields.Integer("n", 1, kChoicesMax));
  out.generate.set_choice_count(static_cast<std::int32_t>(choices.value_or(1)));
  return CheckHints(fields);
}

}  // namespace allod::gateway::openai
