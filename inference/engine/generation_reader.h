// The reader's end of a generation of the engine: its stream, with the tool calls found in it.
#pragma once

#include <memory>
#include <vector>

#include "inference/engine/chat/llama_tool_calls.h"
#include "inference/engine/token_stream.h"
#include "inference/ports/servable.h"

namespace allod::inference::engine {

// Fails with UNAVAILABLE / ENGINE_STOPPED or INTERNAL / DECODE_FAILED; RESOURCE_EXHAUSTED / QUEUE_TIMEOUT or
// QUEUE_FULL, before anything else; INVALID_ARGUMENT / CONSTRAINT_TOO_COSTLY; FAILED_PRECONDITION / READER_TOO_SLOW.
class GenerationReader final : public ports::Generation {
 public:
  // `tool_calls` is null when there are no tools.
  GenerationReader(std::shared_ptr<TokenStream> stream, std::unique_ptr<chat::ToolCallReader> tool_calls)
      : stream_(std::move(stream)), tool_calls_(std::move(tool_calls)) {}
  ~GenerationReader() override { stream_->Cancel(); }
  GenerationReader(const GenerationReader&) = delete;
  GenerationReader& operator=(const GenerationReader&) = delete;

  Result<std::optional<ports::Event>> Next(std::chrono::milliseconds timeout) override;
  Result<std::optional<ports::Event>> Take() override;
  void Arm(std::function<void()> listener, bool only_end = false) override {
    stream_->Arm(std::move(listener), only_end);
  }
  void Cancel() override { stream_->Cancel(); }
  std::chrono::microseconds pace() const override { return stream_->bounds().pace; }

 private:
  Result<std::optional<ports::Event>> Read(Result<std::optional<ports::Event>> event);

  std::shared_ptr<TokenStream> stream_;
  std::unique_ptr<chat::ToolCallReader> tool_calls_;
  std::vector<ports::Event> read_;  // what one event of the stream became, next last
};

}  // namespace allod::inference::engine
