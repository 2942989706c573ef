// What the engine's tests share: an engine on a tiny model, or on the starter model, and ways to ask it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "inference/engine/llama_engine.h"
#include "inference/model/llama_runtime.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace allod::inference::engine {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

inline constexpr auto kPatience = 20s;

struct Answer {
  std::string text;
  std::int32_t delta_tokens = 0;
  std::int32_t started_prompt_tokens = -1;
  ports::Finished finished;
  int deltas = 0;
  std::map<std::int32_t, std::string> texts;  // by choice
  std::map<std::int32_t, ports::FinishReason> reasons;
  std::vector<ports::TokenLogprobs> logprobs;
  std::vector<ports::ToolCall> tool_calls;
  std::int32_t cached = 0;
};

// Reads to the end.
inline Result<Answer> ReadAll(ports::Generation& generation) {
  Answer answer;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    ALLOD_TRY(auto event, generation.Next(100ms));
    if (!event) continue;
    if (const auto* started = std::get_if<ports::Started>(&*event)) {
      answer.started_prompt_tokens = started->prompt_tokens;
      answer.cached = started->cached_prompt_tokens;
    }
    if (const auto* delta = std::get_if<ports::Delta>(&*event)) {
      answer.text += delta->text;
      answer.texts[delta->choice] += delta->text;
      answer.logprobs.insert(answer.logprobs.end(), delta->logprobs.begin(), delta->logprobs.end());
      for (const ports::ToolCallPiece& piece : delta->tool_calls) {
        if (std::ssize(answer.tool_calls) <= piece.index) answer.tool_calls.resize(piece.index + 1);
        ports::ToolCall& call = answer.tool_calls[piece.index];
        call.id += piece.id;
        call.name += piece.name;
        call.arguments += piece.arguments;
      }
      answer.delta_tokens += delta->token_count;
      ++answer.deltas;
    }
    if (const auto* ended = std::get_if<ports::ChoiceFinished>(&*event)) answer.reasons[ended->choice] = ended->reason;
    if (const auto* finished = std::get_if<ports::Finished>(&*event)) {
      answer.finished = *finished;
      return answer;
    }
  }
  return Internal("the generation did not end");
}

inline ports::GenerationRequest Greedy(std::string prompt, std::int32_t tokens) {
  ports::GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_completion_tokens = tokens;
  request.sampling.temperature = 0;
  return request;
}

class EngineTest : public ::testing::Test {
 protected:
  void Start(const EngineOptions& options = {}, const test::TinyModelOptions& model_options = {}) {
    engine_.reset();
    test::WriteTinyGguf(directory_ / "tiny.gguf", model_options);
    auto model = model::LoadModel(directory_ / "tiny.gguf");
    ASSERT_TRUE(model) << model.error().message;
    model_ = *std::move(model);
    auto engine = Engine::Create(*model_, options);
    ASSERT_TRUE(engine) << engine.error().message;
    engine_ = *std::move(engine);
  }

  // The model of the repository, which speaks.
  void StartStarter(const EngineOptions& options = {}) {
    engine_.reset();
    auto model =
        model::LoadModel(std::filesystem::path(std::getenv("ALLOD_SOURCE_DIR")) / "inference/starter/starter-f16.gguf");
    ASSERT_TRUE(model) << model.error().message;
    model_ = *std::move(model);
    auto engine = Engine::Create(*model_, options);
    ASSERT_TRUE(engine) << engine.error().message;
    engine_ = *std::move(engine);
  }

  Answer Ask(const ports::GenerationRequest& request) {
    auto generation = engine_->Submit(request);
    if (!generation) {
      ADD_FAILURE() << generation.error().message;
      return {};
    }
    auto answer = ReadAll(**generation);
    if (!answer) {
      ADD_FAILURE() << answer.error().message;
      return {};
    }
    return *std::move(answer);
  }

  Error Refusal(const ports::GenerationRequest& request) {
    auto generation = engine_->Submit(request);
    if (!generation) return generation.error();
    ADD_FAILURE() << "was accepted";
    return {};
  }

  // Waits until `done`, for at most kPatience.
  template <typename Fn>
  static bool Eventually(Fn done) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (done()) return true;
      std::this_thread::yield();
    }
    return false;
  }

  TempDir directory_;
  model::LlamaModelPtr model_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace allod::inference::engine
