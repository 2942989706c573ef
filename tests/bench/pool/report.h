// What a benchmark found: figures held against their targets, printed for people and, as the last line, as one JSON
// object. A missed target is a finding, not a failure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace allod::bench {

struct Target {
  enum class Kind { kAtMost, kAtLeast };
  Kind kind;
  double value;
};
constexpr Target AtMost(double value) { return {Target::Kind::kAtMost, value}; }
constexpr Target AtLeast(double value) { return {Target::Kind::kAtLeast, value}; }

class Report {
 public:
  // `definition` says in a sentence what each figure of this benchmark is.
  Report(std::string benchmark, std::string definition);
  // A figure that was not measured (no value) is not met, and the benchmark has failed.
  void Figure(const std::string& name, std::optional<double> value, const std::string& unit, Target target);
  // Anything else worth keeping: what the figures were made from.
  void Detail(const std::string& name, nlohmann::json value);
  // `ratio` in the output is value over target.
  void Print() const;
  bool is_measured() const { return is_measured_; }

 private:
  nlohmann::ordered_json out_;
  bool is_measured_ = true;
};

// By nearest rank, `share` from 0 to 1; nothing of nothing.
std::optional<double> Percentile(std::vector<double> values, double share);
std::optional<double> Median(const std::vector<double>& values);
std::optional<double> Mean(const std::vector<double>& values);
std::optional<double> Quotient(std::optional<double> dividend, std::optional<double> divisor);
// {"count", "p50", "p90", "p99", "max"}
nlohmann::json Summary(const std::vector<double>& values);

}  // namespace allod::bench
