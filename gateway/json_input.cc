#include "gateway/json_input.h"

#include <fmt/format.h>

#include <cmath>

namespace allod::gateway {
namespace {

// Nesting of brackets outside strings; enough to refuse a bomb before the parser recurses.
bool DeeperThan(std::string_view text, int depth_max) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > depth_max) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

std::unexpected<ParamError> BadParam(std::string param, std::string reason, std::string message) {
  return std::unexpected(
      ParamError{Error{Code::kInvalidArgument, std::move(reason), std::move(message)}, std::move(param)});
}

ParamResult<nlohmann::json> ParseJsonObject(std::string_view text, int depth_max) {
  if (DeeperThan(text, depth_max)) {
    return BadParam("", "INVALID_JSON", fmt::format("the body is nested more than {} levels deep", depth_max));
  }
  try {
    nlohmann::json out = nlohmann::json::parse(text.begin(), text.end());
    if (!out.is_object()) return BadParam("", "INVALID_JSON", "the body must be a JSON object");
    return out;
  } catch (const nlohmann::json::parse_error& e) {
    return BadParam("", "INVALID_JSON", fmt::format("the body is not valid JSON: broken at byte {}", e.byte));
  } catch (const nlohmann::json::exception&) {
    return BadParam("", "INVALID_JSON", "the body is not valid JSON: a number is out of range");
  }
}

const nlohmann::json* JsonFields::Find(const std::string& name) {
  seen_.insert(name);
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

ParamResult<std::optional<std::string>> JsonFields::String(const std::string& name) {
  const nlohmann::json* value = Find(name);
  if (!value) return std::nullopt;
  if (!value->is_string()) {
    return BadParam(Path(name), "INVALID_TYPE",
                    fmt::format("{} must be a string, not {}", Path(name), value->type_name()));
  }
  return value->get<std::string>();
}

ParamResult<std::optional<bool>> JsonFields::Bool(const std::string& name) {
  const nlohmann::json* value = Find(name);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) {
    return BadParam(Path(name), "INVALID_TYPE",
                    fmt::format("{} must be true or false, not {}", Path(name), value->type_name()));
  }
  return value->get<bool>();
}

ParamResult<std::optional<double>> JsonFields::Number(const std::string& name, double min, double max) {
  const nlohmann::json* value = Find(name);
  if (!value) return std::nullopt;
  if (!value->is_number()) {
    return BadParam(Path(name), "INVALID_TYPE",
                    fmt::format("{} must be a number, not {}", Path(name), value->type_name()));
  }
  const double number = value->get<double>();
  if (!std::isfinite(number) || number < min || number > max) {
    return BadParam(Path(name), "OUT_OF_RANGE", fmt::format("{} must be between {} and {}", Path(name), min, max));
  }
  return number;
}

ParamResult<std::optional<std::int64_t>> JsonFields::Integer(const std::string& name, std::int64_t min,
                                                             std::int64_t max) {
  const nlohmann::json* value = Find(name);
  if (!value) return std::nullopt;
  if (!value->is_number_integer()) {
    return BadParam(Path(name), "INVALID_TYPE",
                    fmt::format("{} must be an integer, not {}", Path(name), value->type_name()));
  }
  const bool too_large =
      value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  const std::int64_t number = too_large ? INT64_MAX : value->get<std::int64_t>();
  if (too_large || number < min || number > max) {
    return BadParam(Path(name), "OUT_OF_RANGE", fmt::format("{} must be between {} and {}", Path(name), min, max));
  }
  return number;
}

void JsonFields::Ignore(std::initializer_list<const char*> names) {
  for (const char* name : names) seen_.insert(name);
}

ParamResult<void> JsonFields::CheckUnknown() const {
  for (const auto& [name, value] : object_.items()) {
    if (!seen_.contains(name)) {
      return BadParam(Path(name), "UNKNOWN_PARAMETER",
                      fmt::format("{} is not a parameter of this endpoint", Path(name)));
    }
  }
  return {};
}

}  // namespace allod::gateway
