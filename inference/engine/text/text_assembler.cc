#include "inference/engine/text/text_assembler.h"

#include <algorithm>
#include <utility>

namespace allod::inference::engine::text {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

enum class Utf8 { kWhole, kIncomplete, kInvalid };

// The character at the front of `text` (RFC 3629): its state, and the bytes that belong to it. For kInvalid those
// that one replacement character stands for (Unicode's "maximal subpart").
std::pair<Utf8, std::size_t> FrontCharacter(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {Utf8::kWhole, 1};
  if (lead < 0xC2 || lead > 0xF4) return {Utf8::kInvalid, 1};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {Utf8::kIncomplete, i};
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (i == 1) {
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    }
    if (byte(i) < low || byte(i) > high) return {Utf8::kInvalid, i};
  }
  return {Utf8::kWhole, length};
}

}  // namespace

TextAssembler::TextAssembler(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) stop_bytes_max_ = std::max(stop_bytes_max_, stop.size());
}

bool TextAssembler::Add(std::string_view piece, TextDelta& out) {
  if (piece.empty()) return false;
  const std::size_t old_bytes = pending_.size();
  token_starts_.push_back(old_bytes);
  pending_.append(piece);
  if (stops_.empty()) {
    Deliver(pending_.size(), true, out);
    return false;
  }
  // A stop string found now ends in the new piece.
  const std::size_t from = old_bytes >= stop_bytes_max_ ? old_bytes - stop_bytes_max_ + 1 : 0;
  std::size_t found = std::string::npos;
  for (const std::string& stop : stops_) found = std::min(found, pending_.find(stop, from));
  if (found != std::string::npos) {
    Deliver(found, false, out);
    pending_.clear();
    token_starts_.clear();
    return true;
  }
  Deliver(pending_.size() - HeldBackForStops(), true, out);
  return false;
}

void TextAssembler::Finish(TextDelta& out) {
  Deliver(pending_.size(), true, out);
  pending_.clear();
  token_starts_.clear();
}

// The longest end of pending_ that begins a stop string.
std::size_t TextAssembler::HeldBackForStops() const {
  for (std::size_t bytes = std::min(pending_.size(), stop_bytes_max_ - 1); bytes > 0; --bytes) {
    const std::string_view end = std::string_view(pending_).substr(pending_.size() - bytes);
    for (const std::string& stop : stops_) {
      if (stop.starts_with(end)) return bytes;
    }
  }
  return 0;
}

void TextAssembler::Deliver(std::size_t bytes, bool more_may_come, TextDelta& out) {
  std::size_t done = 0;
  while (done < bytes) {
    // Looks beyond `bytes`, so that a character that continues there is not taken for an invalid one.
    const std::string_view rest = std::string_view(pending_).substr(done);
    const auto [state, length] = FrontCharacter(rest);
    if (state == Utf8::kIncomplete && more_may_come) break;
    if (state == Utf8::kWhole) {
      if (done + length > bytes) break;
      out.text.append(rest.substr(0, length));
    } else {
      out.text.append(kReplacement);
    }
    done += length;
  }
  const auto counted = std::ranges::lower_bound(token_starts_, done);
  out.token_count += static_cast<std::int32_t>(counted - token_starts_.begin());
  token_starts_.erase(token_starts_.begin(), counted);
  for (std::size_t& start : token_starts_) start -= done;
  pending_.erase(0, done);
}

}  // namespace allod::inference::engine::text
