#include "gateway/http/json_input.h"

#include <fmt/format.h>

#include <cmath>
#include <unordered_set>
#include <vector>

namespace allod::gateway::http {
namespace {

constexpr std::size_t kMembersMax = 512;

// What to say against the shape of `text` before anything is built from it: too deep, or an object with so many members
// that reading it would be slow (ordered objects are searched from the front). Empty: nothing.
std::string ShapeComplaint(std::string_view text, std::size_t depth_max) {
  std::vector<std::size_t> members;  // of each open bracket
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      members.push_back(0);
      if (members.size() > depth_max) return fmt::format("the body is nested more than {} levels deep", depth_max);
    } else if (c == '}' || c == ']') {
      if (!members.empty()) members.pop_back();
    } else if (c == ':' && !members.empty() && ++members.back() > kMembersMax) {
      return fmt::format("an object in the body has more than {} members", kMembersMax);
    }
  }
  return {};
}

// Looks for members that an object has twice, of which one reader takes the first and another the last.
class DuplicateFinder {
 public:
  template <typename JsonType>
  void See(typename JsonType::parse_event_t event, const JsonType& parsed) {
    using Event = typename JsonType::parse_event_t;
    if (!found_.empty()) return;
    switch (event) {
      case Event::object_start:
      case Event::array_start:
        NextElement();
        levels_.emplace_back();
        levels_.back().is_array = event == Event::array_start;
        break;
      case Event::object_end:
      case Event::array_end:
        levels_.pop_back();
        break;
      case Event::key:
        levels_.back().key = parsed.template get<std::string>();
        if (!levels_.back().keys.insert(levels_.back().key).second) found_ = Path();
        break;
      case Event::value:
        NextElement();
        break;
    }
  }
  // E.g. "messages[1].content"; empty: there is none.
  const std::string& found() const { return found_; }

 private:
  struct Level {
    bool is_array = false;
    std::size_t count = 0;  // elements
    std::string key;        // that was seen last
    std::unordered_set<std::string> keys;
  };
  void NextElement() {
    if (!levels_.empty() && levels_.back().is_array) ++levels_.back().count;
  }
  std::string Path() const {
    std::string out;
    for (const Level& level : levels_) {
      if (level.is_array) {
        out += fmt::format("[{}]", level.count - 1);
      } else {
        out += (out.empty() ? "" : ".") + level.key;
      }
    }
    return out.empty() ? "\"\"" : out;
  }

  std::vector<Level> levels_;
  std::string found_;
};

template <typename JsonType>
ParamResult<JsonType> ParseObject(std::string_view text, int depth_max) {
  if (std::string complaint = ShapeComplaint(text, static_cast<std::size_t>(depth_max)); !complaint.empty()) {
    return BadParam("", "INVALID_JSON", std::move(complaint));
  }
  try {
    DuplicateFinder duplicates;
    const auto see = [&](int, typename JsonType::parse_event_t event, const JsonType& parsed) {
      duplicates.See<JsonType>(event, parsed);
      return true;
    };
    JsonType out = JsonType::parse(text.begin(), text.end(), see);
    if (const std::string& twice = duplicates.found(); !twice.empty()) {
      return BadParam(twice, "DUPLICATE_MEMBER", fmt::format("{} is there more than once", twice));
    }
    if (!out.is_object()) return BadParam("", "INVALID_JSON", "the body must be a JSON object");
    return out;
  } catch (const nlohmann::json::parse_error& e) {
    return BadParam("", "INVALID_JSON", fmt::format("the body is not valid JSON: broken at byte {}", e.byte));
  } catch (const nlohmann::json::exception&) {
    return BadParam("", "INVALID_JSON", "the body is not valid JSON: a number is out of range");
  }
}

}  // namespace

std::unexpected<ParamError> BadParam(std::string param, std::string reason, std::string message) {
  return std::unexpected(
      ParamError{Error{Code::kInvalidArgument, std::move(reason), std::move(message)}, std::move(param)});
}

ParamResult<nlohmann::json> ParseJsonObject(std::string_view text, int depth_max) {
  return ParseObject<nlohmann::json>(text, depth_max);
}

ParamResult<Json> ParseOrderedJsonObject(std::string_view text, int depth_max) {
  return ParseObject<Json>(text, depth_max);
}

const Json* JsonFields::Find(const std::string& name) {
  seen_.insert(name);
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

ParamResult<std::optional<std::string>> JsonFields::String(const std::string& name) {
  const Json* value = Find(name);
  if (!value) return std::nullopt;
  if (!value->is_string()) {
    return BadParam(Path(name), "INVALID_TYPE",
                    fmt::format("{} must be a string, not {}", Path(name), value->type_name()));
  }
  return value->get<std::string>();
}

ParamResult<std::optional<bool>> JsonFields::Bool(const std::string& name) {
  const Json* value = Find(name);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) {
    return BadParam(Path(name), "INVALID_TYPE",
                    fmt::format("{} must be true or false, not {}", Path(name), value->type_name()));
  }
  return value->get<bool>();
}

ParamResult<std::optional<double>> JsonFields::Number(const std::string& name, double min, double max) {
  const Json* value = Find(name);
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
  const Json* value = Find(name);
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

ParamResult<void> JsonFields::CheckUnknown() const {
  for (const auto& [name, value] : object_.items()) {
    if (!seen_.contains(name)) {
      return BadParam(Path(name), "UNKNOWN_PARAMETER",
                      fmt::format("{} is not a parameter of this endpoint", Path(name)));
    }
  }
  return {};
}

}  // namespace allod::gateway::http
