#include "inference/engine/text/control_text.h"

#include <utility>

namespace allod::inference::engine::text {
namespace {

constexpr std::string_view kOpen = "\xEF\xB7\x90";   // U+FDD0
constexpr std::string_view kClose = "\xEF\xB7\x91";  // U+FDD1

std::uint64_t Edge(std::uint32_t node, char byte) {
  return static_cast<std::uint64_t>(node) << 8 | static_cast<unsigned char>(byte);
}

}  // namespace

ControlText::ControlText(const std::vector<std::string>& texts) : is_end_(1, false) {
  for (const std::string& text : texts) {
    if (text.empty()) continue;
    std::uint32_t node = 0;
    for (const char byte : text) {
      const auto [it, added] = children_.try_emplace(Edge(node, byte), static_cast<std::uint32_t>(is_end_.size()));
      if (added) is_end_.push_back(false);
      node = it->second;
    }
    is_end_[node] = true;
  }
}

std::size_t ControlText::MatchFront(std::string_view text) const {
  std::size_t longest = 0;
  std::uint32_t node = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto it = children_.find(Edge(node, text[i]));
    if (it == children_.end()) break;
    node = it->second;
    if (is_end_[node]) longest = i + 1;
  }
  return longest;
}

std::string ControlText::Guard(std::string_view content) const {
  // Removed first, so that what their removal joins is looked at too.
  std::string clean;
  clean.reserve(content.size());
  for (std::size_t i = 0; i < content.size();) {
    const std::string_view rest = content.substr(i);
    if (rest.starts_with(kOpen) || rest.starts_with(kClose)) {
      i += kOpen.size();
    } else {
      clean += content[i++];
    }
  }
  std::string guarded;
  guarded.reserve(clean.size());
  for (std::size_t i = 0; i < clean.size();) {
    const std::size_t bytes = MatchFront(std::string_view(clean).substr(i));
    if (bytes == 0) {
      guarded += clean[i++];
      continue;
    }
    guarded.append(kOpen).append(clean, i, bytes).append(kClose);
    i += bytes;
  }
  return guarded;
}

std::vector<PromptPart> ControlText::Split(std::string_view rendered) {
  std::vector<PromptPart> parts;
  bool is_plain = false;
  while (!rendered.empty()) {
    const std::size_t end = rendered.find(is_plain ? kClose : kOpen);
    std::string text(rendered.substr(0, end));
    if (!text.empty()) parts.push_back({std::move(text), is_plain});
    if (end == std::string_view::npos) break;
    rendered.remove_prefix(end + kOpen.size());
    is_plain = !is_plain;
  }
  return parts;
}

}  // namespace allod::inference::engine::text
