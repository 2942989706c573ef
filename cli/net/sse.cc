#include "cli/net/sse.h"

namespace allod::cli::net {
namespace {
constexpr std::size_t kEventBytesMax = 1 << 20;
}

std::vector<std::string> SseReader::Feed(std::string_view bytes) {
  std::vector<std::string> events;
  for (const char c : bytes) {
    if (c != '\n') {
      if (line_.size() < kEventBytesMax) line_.push_back(c);
      continue;
    }
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    if (line_.empty()) {
      if (!data_.empty()) events.push_back(std::move(data_));
      data_.clear();
    } else if (line_.starts_with("data:")) {
      std::string_view value = std::string_view(line_).substr(5);
      if (value.starts_with(' ')) value.remove_prefix(1);
      if (!data_.empty()) data_.push_back('\n');
      if (data_.size() + value.size() <= kEventBytesMax) data_.append(value);
    }
    line_.clear();
  }
  return events;
}

}  // namespace allod::cli::net
