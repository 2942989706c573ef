#include "services/common/jose/strict_json.h"

#include <fmt/format.h>

#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace allod::jose {
namespace {

using nlohmann::json;

// Looks at a document before anything is built of it.
class ShapeCheck final : public nlohmann::json_sax<json> {
 public:
  explicit ShapeCheck(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return Value(); }
  bool boolean(bool) override { return Value(); }
  bool number_integer(number_integer_t) override { return Value(); }
  bool number_unsigned(number_unsigned_t) override { return Value(); }
  bool number_float(number_float_t, const string_t&) override { return Value(); }
  bool string(string_t&) override { return Value(); }
  bool binary(binary_t&) override { return Complain("it holds binary data"); }
  bool start_object(std::size_t) override { return Open(); }
  bool end_object() override { return Close(); }
  bool start_array(std::size_t) override { return Open(); }
  bool end_array() override { return Close(); }
  bool key(string_t& name) override {
    if (!names_.back().insert(name).second) return Complain("an object has a member twice");
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return Complain(fmt::format("it is not valid JSON at byte {}", position));
  }

  std::string complaint;

 private:
  bool Complain(std::string what) {
    complaint = std::move(what);
    return false;
  }
  bool Value() {
    if (++values_ > limits_.values_max) return Complain(fmt::format("it has more than {} values", limits_.values_max));
    return true;
  }
  bool Open() {
    names_.emplace_back();
    if (std::cmp_greater(names_.size(), limits_.depth_max)) {
      return Complain(fmt::format("it is nested more than {} levels deep", limits_.depth_max));
    }
    return Value();
  }
  bool Close() {
    names_.pop_back();
    return true;
  }

  const JsonLimits limits_;
  std::size_t values_ = 0;
  std::vector<std::unordered_set<std::string>> names_;  // of each open object; empty for arrays
};

}  // namespace

Result<json> ParseStrictObject(std::string_view text, const JsonLimits& limits) {
  ShapeCheck check(limits);
  if (!json::sax_parse(text, &check)) return InvalidArgument("INVALID_JSON", check.complaint);
  json out = json::parse(text, nullptr, false);
  if (!out.is_object()) return InvalidArgument("INVALID_JSON", "it is not a JSON object");
  return out;
}

}  // namespace allod::jose
