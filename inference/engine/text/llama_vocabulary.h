// A model's tokeniser: text to tokens, tokens to text. Thread-safe; must not outlive the model.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/engine/text/control_text.h"
#include "services/common/result.h"

struct llama_model;
struct llama_vocab;

namespace allod::inference::engine::text {

class Vocabulary {
 public:
  // The model must have a tokeniser.
  explicit Vocabulary(const llama_model& model);

  std::int32_t size() const { return size_; }
  // Text taken as it is: control tokens in it are text. BOS and EOS are added where the model wants them.
  Result<std::vector<std::int32_t>> TokenizeText(const std::string& text) const;
  // A rendered chat prompt: control tokens count, but not in the parts that are plain.
  Result<std::vector<std::int32_t>> TokenizePrompt(std::span<const PromptPart> parts) const;

  // What a template wrote, control tokens and all, nothing added.
  Result<std::vector<std::int32_t>> TokenizeMarkup(const std::string& text) const;
  // The token that alone makes up this text, control tokens included.
  std::optional<std::int32_t> SingleToken(const std::string& text) const;

  // Appends the text of `token` to `out`. Control tokens have none, unless `spoken`. `strip_space` leaves out one
  // leading space.
  void AppendPiece(std::int32_t token, bool strip_space, std::string& out, bool spoken = false) const;
  bool EndsGeneration(std::int32_t token) const;
  // Whether an answer after `last` begins with a space that the tokeniser made up: SentencePiece models were trained on
  // text with a space put before it wherever it follows a control token, so it is no part of what the model has to say.
  bool BeginsWithMadeUpSpace(std::int32_t last) const;
  const ControlText& control_text() const { return control_text_; }
  const llama_vocab& llama() const { return *vocab_; }

 private:
  Result<std::vector<std::int32_t>> Tokenize(const std::string& text, bool add_special, bool parse_special) const;

  const llama_vocab* vocab_;
  const std::int32_t size_;
  const bool adds_space_;
  const ControlText control_text_;
};

}  // namespace allod::inference::engine::text
