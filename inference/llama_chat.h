// The chat template of a model, run by llama.cpp's Jinja interpreter; ChatML for a model that carries none.
//
// The template is part of the model file: foreign code in a small language without input or output. It is parsed once.
// Thread-safe. Must not outlive the model.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "inference/control_text.h"
#include "inference/generation.h"
#include "services/common/result.h"

struct llama_model;

namespace allod::inference {

class ChatTemplate {
 public:
  // A template that cannot be parsed is kept as the error that Render returns: the model still completes text.
  explicit ChatTemplate(const llama_model& model);
  ~ChatTemplate();

  // The prompt up to where the assistant speaks. Texts of control tokens in the messages come out as plain parts.
  // INVALID_ARGUMENT / TEMPLATE_FAILED with what the template said, INVALID_MESSAGE for no messages or an unknown role.
  Result<std::vector<PromptPart>> Render(std::span<const ChatMessage> messages, const ControlText& control_text) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace allod::inference
