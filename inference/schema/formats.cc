#include "inference/schema/formats.h"

#include <fmt/format.h>

#include <cstdlib>

#include "inference/schema/pattern.h"

namespace allod::inference::schema {
namespace {

struct Format {
  std::string_view name;
  std::string pattern;
};

const std::string kDate =
    R"((?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8])))"
    R"(|(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29))";
const std::string kTime = R"((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+\-](?:[01]\d|2[0-3]):[0-5]\d))";
const std::string kLabel = R"([a-z0-9](?:[a-z0-9\-]{0,30}[a-z0-9])?)";
const std::string kHost = kLabel + R"((?:\.)" + kLabel + "){0,3}";
const std::string kByte = R"((?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))";

const Format kFormats[] = {
    {"date", "^" + kDate + "$"},
    {"time", "^" + kTime + "$"},
    {"date-time", "^" + kDate + "T" + kTime + "$"},
    {"uuid", R"(^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$)"},
    {"email", R"(^[A-Za-z0-9_+\-]{1,16}(?:\.[A-Za-z0-9_+\-]{1,16}){0,2}@(?:)" + kLabel + R"(\.){1,3}[a-z]{2,12}$)"},
    {"hostname", "^" + kHost + "$"},
    {"ipv4", "^" + kByte + R"((?:\.)" + kByte + "){3}$"},
    {"uri", R"(^https?://)" + kHost +
                R"((?::[1-9]\d{0,3})?(?:/[A-Za-z0-9\-._~]*)*(?:\?[A-Za-z0-9\-._~=&]*)?(?:#[A-Za-z0-9\-._~]*)?$)"},
};

}  // namespace

ExpressionPtr FormatOf(std::string_view name) {
  for (const Format& format : kFormats) {
    if (format.name != name) continue;
    auto expression = ParsePattern(format.pattern);
    if (!expression) std::abort();  // our own
    return *expression;
  }
  return nullptr;
}

bool FormatIsExact(std::string_view name) { return name == "date" || name == "uuid" || name == "ipv4"; }

std::string FormatNames() {
  std::string out;
  for (const Format& format : kFormats) {
    if (!out.empty()) out += ", ";
    out += format.name;
  }
  return out;
}

}  // namespace allod::inference::schema
