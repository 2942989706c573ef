// Finds the tool calls in what a model writes, by llama.cpp's parser for the model's own notation.
//
// The reader of a generation uses it, not the decode thread: each piece of text makes the answer be parsed again from
// its beginning.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "inference/ports/generation.h"

namespace allod::inference::engine::chat {

// How a model writes tool calls for a given request. Immutable; thread-safe.
class ToolCallFormat {
 public:
  struct Impl;
  explicit ToolCallFormat(std::unique_ptr<const Impl> impl);
  ~ToolCallFormat();
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<const Impl> impl_;
};

// Reads the events of one generation: text in, text and tool calls out. For one thread at a time.
class ToolCallReader {
 public:
  explicit ToolCallReader(std::shared_ptr<const ToolCallFormat> format);
  ~ToolCallReader();

  // What becomes of an event: none, one or two. A token counts when something that it stands for comes out.
  std::vector<ports::Event> Read(ports::Event event);

 private:
  struct Answer;
  ports::Delta Parse(Answer& answer, bool is_whole);

  const std::shared_ptr<const ToolCallFormat> format_;
  std::map<std::int32_t, Answer> answers_;  // by choice
};

}  // namespace allod::inference::engine::chat
