// JSON from clients: parsed with bounds, then read field by field with complaints that name the parameter.
#pragma once

#include <cstdint>
#include <expected>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "gateway/http/error.h"
#include "services/common/result.h"

namespace allod::gateway::http {

// Objects keep the order of their members, which means something in a JSON schema.
using Json = nlohmann::ordered_json;

template <typename T>
using ParamResult = std::expected<T, ParamError>;

// INVALID_ARGUMENT / `reason`, about `param`.
std::unexpected<ParamError> BadParam(std::string param, std::string reason, std::string message);

// An object, nested at most `depth_max` deep, at most 512 members in each object (both checked before anything is
// built), each of them once, valid UTF-8. INVALID_ARGUMENT / INVALID_JSON says where it breaks, DUPLICATE_MEMBER which
// member is there again.
ParamResult<nlohmann::json> ParseJsonObject(std::string_view text, int depth_max);
ParamResult<Json> ParseOrderedJsonObject(std::string_view text, int depth_max);

// Reads the members of one object. null counts as absent. Every member must have been asked for by the time of
// CheckUnknown(), so that a misspelt parameter is never silently ignored.
class JsonFields {
 public:
  // `prefix` is put before names in complaints, e.g. "stream_options.".
  explicit JsonFields(const Json& object, std::string prefix = {}) : object_(object), prefix_(std::move(prefix)) {}

  // null when absent or null.
  const Json* Find(const std::string& name);
  ParamResult<std::optional<std::string>> String(const std::string& name);
  ParamResult<std::optional<bool>> Bool(const std::string& name);
  // Both bounds inclusive.
  ParamResult<std::optional<double>> Number(const std::string& name, double min, double max);
  ParamResult<std::optional<std::int64_t>> Integer(const std::string& name, std::int64_t min, std::int64_t max);

  // UNKNOWN_PARAMETER names the first member nobody asked for.
  ParamResult<void> CheckUnknown() const;
  std::string Path(const std::string& name) const { return prefix_ + name; }

 private:
  const Json& object_;
  std::string prefix_;
  std::set<std::string> seen_;
};

}  // namespace allod::gateway::http
