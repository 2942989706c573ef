#include "inference/node/process/log_relay.h"

#include <nlohmann/json.hpp>

#include "services/common/log.h"

namespace allod::inference::node::process {
namespace {

constexpr int kLinesPerSecondMax = 50;
constexpr std::size_t kMessageBytesMax = 512;

}  // namespace

void LogRelay::Take(std::vector<std::string> lines) {
  const auto second = std::chrono::floor<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch());
  if (second != second_) {
    if (lines_this_second_ > kLinesPerSecondMax) {
      Log(LogLevel::kWarning, "lines of a worker's log were dropped",
          {{"from", who_}, {"lines", std::to_string(lines_this_second_ - kLinesPerSecondMax)}});
    }
    second_ = second;
    lines_this_second_ = 0;
  }
  for (std::string& line : lines) {
    if (line.empty()) continue;
    if (++lines_this_second_ <= kLinesPerSecondMax) {
      Log(LogLevel::kInfo, "worker says", {{"from", who_}, {"line", line}});
    }
    last_line_ = std::move(line);
  }
}

std::string LogRelay::LastWords() const {
  const auto json = nlohmann::json::parse(last_line_, nullptr, /*allow_exceptions=*/false);
  std::string text = last_line_;
  if (json.is_object() && json.contains("message") && json["message"].is_string()) {
    text = json["message"].get<std::string>();
    if (json.contains("reason") && json["reason"].is_string()) text = json["reason"].get<std::string>() + ": " + text;
  }
  return text.substr(0, kMessageBytesMax);
}

}  // namespace allod::inference::node::process
