#include "inference/engine/text/llama_vocabulary.h"

#include <fmt/format.h>
#include <llama.h>

#include <cstring>
#include <exception>

#include "inference/model/llama_runtime.h"

namespace allod::inference::engine::text {
namespace {

bool AddsSpace(const llama_model& model, const llama_vocab* vocab) {
  if (llama_vocab_type(vocab) != LLAMA_VOCAB_TYPE_SPM) return false;
  char value[16];
  if (llama_model_meta_val_str(&model, "tokenizer.ggml.add_space_prefix", value, sizeof(value)) < 0) return true;
  return std::strcmp(value, "false") != 0;
}

std::vector<std::string> ControlTexts(const llama_vocab* vocab) {
  std::vector<std::string> texts;
  const std::int32_t tokens = llama_vocab_n_tokens(vocab);
  for (llama_token token = 0; token < tokens; ++token) {
    if ((llama_vocab_get_attr(vocab, token) & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) == 0) continue;
    texts.emplace_back(llama_vocab_get_text(vocab, token));
  }
  return texts;
}

}  // namespace

Vocabulary::Vocabulary(const llama_model& model)
    : vocab_(llama_model_get_vocab(&model)),
      size_(llama_vocab_n_tokens(vocab_)),
      adds_space_(AddsSpace(model, vocab_)),
      control_text_(ControlTexts(vocab_)) {}

Result<std::vector<std::int32_t>> Vocabulary::Tokenize(const std::string& text, bool add_special,
                                                       bool parse_special) const {
  // Enough for one token a byte and what is added; llama.cpp says how many when it is not.
  std::vector<llama_token> tokens(text.size() + 8);
  const model::ClientsText quiet;
  try {
    const auto call = [&] {
      return llama_tokenize(vocab_, text.data(), static_cast<std::int32_t>(text.size()), tokens.data(),
                            static_cast<std::int32_t>(tokens.size()), add_special, parse_special);
    };
    std::int32_t count = call();
    if (count < 0 && count != INT32_MIN) {
      tokens.resize(static_cast<std::size_t>(-count));
      count = call();
    }
    if (count >= 0) {
      tokens.resize(static_cast<std::size_t>(count));
      return tokens;
    }
  } catch (const std::exception& e) {
    return InvalidArgument("TOKENIZE_FAILED", fmt::format("the model's tokeniser refuses the prompt: {}", e.what()));
  }
  return InvalidArgument("TOKENIZE_FAILED", "the model's tokeniser refuses the prompt: it makes too many tokens");
}

Result<std::vector<std::int32_t>> Vocabulary::TokenizeText(const std::string& text) const {
  return Tokenize(text, /*add_special=*/true, /*parse_special=*/false);
}

Result<std::vector<std::int32_t>> Vocabulary::TokenizePrompt(std::span<const PromptPart> parts) const {
  std::vector<std::int32_t> tokens;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    ALLOD_TRY(const auto more, Tokenize(parts[i].text, /*add_special=*/i == 0, /*parse_special=*/!parts[i].is_plain));
    tokens.insert(tokens.end(), more.begin(), more.end());
  }
  return tokens;
}

Result<std::vector<std::int32_t>> Vocabulary::TokenizeMarkup(const std::string& text) const {
  return Tokenize(text, /*add_special=*/false, /*parse_special=*/true);
}

std::optional<std::int32_t> Vocabulary::SingleToken(const std::string& text) const {
  const auto tokens = TokenizeMarkup(text);
  if (!tokens || tokens->size() != 1) return std::nullopt;
  return tokens->front();
}

void Vocabulary::AppendPiece(std::int32_t token, bool strip_space, std::string& out, bool spoken) const {
  char piece[256];
  const std::int32_t strip = strip_space ? 1 : 0;
  const std::int32_t bytes = llama_token_to_piece(vocab_, token, piece, sizeof(piece), strip, spoken);
  if (bytes >= 0) {
    out.append(piece, static_cast<std::size_t>(bytes));
    return;
  }
  std::string longer(static_cast<std::size_t>(-bytes), '\0');
  llama_token_to_piece(vocab_, token, longer.data(), -bytes, strip, spoken);
  out += longer;
}

bool Vocabulary::EndsGeneration(std::int32_t token) const { return llama_vocab_is_eog(vocab_, token); }

bool Vocabulary::BeginsWithMadeUpSpace(std::int32_t last) const {
  return adds_space_ && llama_vocab_is_control(vocab_, last);
}

}  // namespace allod::inference::engine::text
