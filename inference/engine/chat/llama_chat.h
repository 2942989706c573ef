// The chat template of a model, run by llama.cpp's Jinja interpreter; ChatML for a model that carries none.
//
// The template is part of the model file: foreign code in a small language without input or output. It is parsed once,
// and every run of it is bounded in memory, processor time and depth (AllocationBudget) and takes place on a stack of
// its own; one that does not keep within the bounds costs its own request and nothing else. Thread-safe. Must not
// outlive the model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "inference/engine/text/control_text.h"
#include "inference/engine/text/llama_constraint.h"
#include "inference/engine/text/llama_vocabulary.h"
#include "inference/ports/generation.h"
#include "services/common/result.h"

struct llama_model;

namespace allod::inference::engine::chat {

class ToolCallFormat;

struct RenderedChat {
  // The prompt up to where the assistant speaks. Texts of control tokens in the messages come out as plain parts.
  std::vector<text::PromptPart> parts;
  // How this model writes tool calls; the rest is empty when there are none to be written.
  std::shared_ptr<const ToolCallFormat> tool_calls;
  text::GrammarPlan grammar;
  std::vector<std::string> stops;
  std::vector<std::int32_t> spoken_tokens;  // control tokens whose text is part of the answer
};

class ChatTemplate {
 public:
  // Starts a thread and waits for its end. A template that cannot be parsed, or is larger than 256 KiB, is kept as the
  // error that Render returns: the model still completes text.
  explicit ChatTemplate(const llama_model& model);
  ~ChatTemplate();

  // INVALID_ARGUMENT / TEMPLATE_FAILED with what the template said, INVALID_MESSAGE, INVALID_TOOL; RESOURCE_EXHAUSTED /
  // TEMPLATE_TOO_COSTLY.
  Result<RenderedChat> Render(const ports::ChatPrompt& chat, const text::Vocabulary& vocabulary) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace allod::inference::engine::chat
