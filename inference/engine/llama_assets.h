// What is derived from a model once and shared by every engine on it: facts, tokeniser, chat template.
//
// A zygote makes it before it forks, so that a worker does not pay for it again and its memory is shared. Immutable and
// thread-safe. Must not outlive the model.
#pragma once

#include <memory>
#include <string>

#include "inference/engine/chat/llama_chat.h"
#include "inference/engine/text/llama_vocabulary.h"
#include "inference/model/llama_runtime.h"
#include "services/common/result.h"

struct llama_model;

namespace allod::inference::engine {

class ModelAssets {
 public:
  // No thread is left running. FAILED_PRECONDITION / MODEL_NOT_GENERATIVE for a model that can neither continue text
  // nor embed it.
  static Result<std::shared_ptr<const ModelAssets>> Create(const llama_model& model);

  const model::ModelFacts& facts() const { return facts_; }
  const text::Vocabulary& vocabulary() const { return vocabulary_; }
  const chat::ChatTemplate& chat_template() const { return chat_template_; }
  // Answers Embed, not Submit.
  bool is_embedding() const { return is_embedding_; }
  // Whether a prefix of what was computed can be kept without the rest: not with a recurrent state or a sliding window.
  bool can_share_prefixes() const { return can_share_prefixes_; }

 private:
  explicit ModelAssets(const llama_model& model);

  const model::ModelFacts facts_;
  const text::Vocabulary vocabulary_;
  const chat::ChatTemplate chat_template_;
  bool is_embedding_ = false;
  bool can_share_prefixes_ = false;
};

}  // namespace allod::inference::engine
