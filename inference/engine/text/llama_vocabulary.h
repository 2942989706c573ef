// A model's tokeniser: text to tokens, tokens to text. Thread-safe; must not outlive the model.
//
// Text is foreign, and llama.cpp's tokenisers have no limits of their own: not of depth, where they match with
// std::regex, nor of time. So what has more tokens than are wanted is not tokenised to its end, if at all; all but
// short texts are tokenised on a stack of their own, those of vocabularies of byte pairs in pieces (text_pieces.h); and
// the processor's time is bounded by the length of the text.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/engine/text/control_text.h"
#include "inference/engine/text/text_pieces.h"
#include "services/common/result.h"

struct llama_model;
struct llama_vocab;

namespace allod::inference::engine::text {

struct TokenLimits {
  std::int64_t tokens_max = std::numeric_limits<std::int64_t>::max();
  std::function<bool()> is_cancelled;  // asked between pieces; none: never
};

struct TokenizedText {
  std::vector<std::int32_t> tokens;
  // How many tokens the text has; if it is more than TokenLimits::tokens_max, it may be only known to have so many, and
  // `tokens` are a part of them.
  std::int64_t count = 0;
  bool is_whole = true;
};

// "12", or "at least 12".
std::string CountText(const TokenizedText& text);

class Vocabulary {
 public:
  // The model must have a tokeniser.
  explicit Vocabulary(const llama_model& model);

  std::int32_t size() const { return size_; }
  // These fail with INVALID_ARGUMENT / TOKENIZE_FAILED, CANCELLED / CANCELLED, RESOURCE_EXHAUSTED / NO_THREAD.
  //
  // Text taken as it is: control tokens in it are text. BOS and EOS are added where the model wants them.
  Result<TokenizedText> TokenizeText(const std::string& text, const TokenLimits& limits = {}) const;
  // A rendered chat prompt: control tokens count, but not in the parts that are plain.
  Result<TokenizedText> TokenizePrompt(std::span<const PromptPart> parts, const TokenLimits& limits = {}) const;

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
  struct Part {
    std::string_view text;
    bool add_special = false;
    bool parse_special = false;
  };
  Result<TokenizedText> Tokenize(std::span<const Part> parts, const TokenLimits& limits) const;
  Status AppendParts(std::span<const Part> parts, const TokenLimits& limits, TokenizedText& out) const;
  Status AppendTokens(const Part& part, std::vector<std::int32_t>& out) const;

  const llama_vocab* vocab_;
  const std::int32_t size_;
  const bool adds_space_;
  const bool has_byte_pairs_;
  const std::size_t token_bytes_max_;   // of text that one token can stand for; 0: there is no such bound
  const std::vector<WholeText> whole_;  // empty without byte pairs
  const ControlText control_text_;
};

}  // namespace allod::inference::engine::text
