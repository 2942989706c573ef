#include "tests/bench/pool/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace allod::bench {

using nlohmann::json;

namespace {

// Three digits are more than a shared machine can promise.
json Rounded(std::optional<double> value) {
  if (!value || !std::isfinite(*value)) return nullptr;
  if (*value == 0) return 0.0;
  const double scale = std::pow(10.0, 3 - std::ceil(std::log10(std::abs(*value))));
  return scale < 1 ? std::round(*value) : std::round(*value * scale) / scale;
}

}  // namespace

Report::Report(std::string benchmark, std::string definition) {
  out_["benchmark"] = std::move(benchmark);
  out_["definition"] = std::move(definition);
  out_["figures"] = json::array();
  out_["details"] = json::object();
}

void Report::Figure(const std::string& name, std::optional<double> value, const std::string& unit, Target target) {
  if (value && !std::isfinite(*value)) value.reset();
  is_measured_ = is_measured_ && value;
  const bool at_most = target.kind == Target::Kind::kAtMost;
  const bool met = value && (at_most ? *value <= target.value : *value >= target.value);
  nlohmann::ordered_json figure;
  figure["figure"] = name;
  figure["value"] = Rounded(value);
  figure["unit"] = unit;
  figure["target"] = target.value;
  figure["comparison"] = at_most ? "<=" : ">=";
  figure["ratio"] = Rounded(Quotient(value, target.value));
  figure["met"] = met;
  out_["figures"].push_back(figure);
  fmt::print("{}: {}: {} {} (target {} {}) {}\n", out_["benchmark"].get<std::string>(), name, figure["value"].dump(),
             unit, at_most ? "<=" : ">=", json(target.value).dump(), met ? "met" : (value ? "MISSED" : "NOT MEASURED"));
  std::fflush(stdout);
}

void Report::Detail(const std::string& name, json value) { out_["details"][name] = std::move(value); }

void Report::Print() const {
  fmt::print("{}\n", out_.dump());
  std::fflush(stdout);
}

std::optional<double> Percentile(std::vector<double> values, double share) {
  if (values.empty()) return std::nullopt;
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

std::optional<double> Median(const std::vector<double>& values) { return Percentile(values, 0.5); }

std::optional<double> Mean(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::optional<double> Quotient(std::optional<double> dividend, std::optional<double> divisor) {
  if (!dividend || !divisor || *divisor == 0) return std::nullopt;
  return *dividend / *divisor;
}

json Summary(const std::vector<double>& values) {
  return {{"count", values.size()},
          {"p50", Rounded(Percentile(values, 0.5))},
          {"p90", Rounded(Percentile(values, 0.9))},
          {"p99", Rounded(Percentile(values, 0.99))},
          {"max", Rounded(Percentile(values, 1))}};
}

}  // namespace allod::bench
