#include "inference/engine/generation_reader.h"

#include <algorithm>
#include <utility>

namespace allod::inference::engine {

Result<std::optional<ports::Event>> GenerationReader::Read(Result<std::optional<ports::Event>> event) {
  if (!tool_calls_ || !event || !*event) return event;
  read_ = tool_calls_->Read(**std::move(event));
  if (read_.empty()) return std::nullopt;
  std::ranges::reverse(read_);
  ports::Event first = std::move(read_.back());
  read_.pop_back();
  return std::optional<ports::Event>(std::move(first));
}

Result<std::optional<ports::Event>> GenerationReader::Next(std::chrono::milliseconds timeout) {
  if (!read_.empty()) {
    ports::Event next = std::move(read_.back());
    read_.pop_back();
    return std::optional<ports::Event>(std::move(next));
  }
  return Read(stream_->Next(timeout));
}

Result<std::optional<ports::Event>> GenerationReader::Take() {
  if (!read_.empty()) return Next(std::chrono::milliseconds(0));
  while (true) {
    auto event = stream_->Take();
    const bool is_none = event && !*event;
    auto read = Read(std::move(event));
    // A piece of text may be no event yet.
    if (is_none || !read || *read) return read;
  }
}

}  // namespace allod::inference::engine
