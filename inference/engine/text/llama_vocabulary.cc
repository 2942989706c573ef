#include "inference/engine/text/llama_vocabulary.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <set>

#include "inference/engine/text/allocation_budget.h"
#include "inference/engine/text/deep_stack.h"
#include "inference/model/llama_runtime.h"
#include "inference/schema/code_points.h"

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

// Whatever the pattern, matching takes some 360 bytes of stack for each byte of the longest word: at most 0.7 MiB for a
// piece, of the 64 MiB of RunOnDeepStack, and 90 KiB for a text that goes on the caller's stack, because a thread costs
// some 50 microseconds.
constexpr std::size_t kPieceBytes = 2048;
constexpr std::size_t kShortBytes = 256;

// Several times what the slowest patterns take for each byte of ordinary text.
constexpr std::chrono::milliseconds kTimeAtFirst(500);
constexpr std::chrono::microseconds kTimePerByte(20);
constexpr std::size_t kMemoryPerByte = 1024;

AllocationBudget::Limits LimitsFor(std::size_t bytes) {
  constexpr std::size_t kMemoryAtFirst = 64 << 20;
  const std::size_t memory = kMemoryAtFirst + kMemoryPerByte * bytes;
  return {.bytes_max = memory,
          .allocation_bytes_max = memory,
          .processor_time_max = std::chrono::ceil<std::chrono::milliseconds>(
              kTimeAtFirst + kTimePerByte * static_cast<std::int64_t>(bytes)),
          .stack_bytes_max = 48 << 20};
}

bool IsTakenOutOfText(llama_token_attr attributes) {
  return (attributes & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN | LLAMA_TOKEN_ATTR_USER_DEFINED)) != 0;
}

std::vector<WholeText> WholeTexts(const llama_vocab* vocab) {
  std::vector<WholeText> out;
  const std::int32_t tokens = llama_vocab_n_tokens(vocab);
  for (llama_token token = 0; token < tokens; ++token) {
    const llama_token_attr attributes = llama_vocab_get_attr(vocab, token);
    const std::string_view text = llama_vocab_get_text(vocab, token);
    if (!IsTakenOutOfText(attributes) || text.empty()) continue;
    out.push_back(
        {std::string(text), (attributes & LLAMA_TOKEN_ATTR_LSTRIP) != 0, (attributes & LLAMA_TOKEN_ATTR_RSTRIP) != 0});
  }
  return out;
}

// SentencePiece writes a blank as U+2581.
std::size_t BytesOfText(std::string_view token) {
  constexpr std::string_view kBlank = "\xE2\x96\x81";
  std::size_t bytes = token.size();
  for (std::size_t at = token.find(kBlank); at != std::string_view::npos; at = token.find(kBlank, at + kBlank.size())) {
    bytes -= kBlank.size() - 1;
  }
  return bytes;
}

// How much text one token stands for at most: where every byte of a text comes to be in some token. That is so with
// SentencePiece's byte pairs, which fall back to bytes, and with those of GPT-2 if there is a token for each byte; not
// if text is normalised, if what is unknown has one token whatever its length, or if tokens take blanks beside them.
std::size_t TokenBytesMax(const llama_vocab* vocab) {
  const auto type = llama_vocab_type(vocab);
  if (type != LLAMA_VOCAB_TYPE_SPM && type != LLAMA_VOCAB_TYPE_BPE) return 0;
  const bool is_spm = type == LLAMA_VOCAB_TYPE_SPM;
  std::size_t longest = 0;
  std::set<std::string_view> characters;  // tokens of one
  const std::int32_t tokens = llama_vocab_n_tokens(vocab);
  for (llama_token token = 0; token < tokens; ++token) {
    const llama_token_attr attributes = llama_vocab_get_attr(vocab, token);
    if ((attributes & (LLAMA_TOKEN_ATTR_LSTRIP | LLAMA_TOKEN_ATTR_RSTRIP)) != 0) return 0;
    const std::string_view text = llama_vocab_get_text(vocab, token);
    longest = std::max(longest, is_spm ? BytesOfText(text) : text.size());
    if (!is_spm && (text.size() == 1 || (text.size() == 2 && static_cast<unsigned char>(text[0]) >= 0xC2))) {
      characters.insert(text);
    }
  }
  // GPT-2 writes the bytes that cannot be seen as U+0100 and on.
  int hidden = 0;
  for (unsigned byte = 0; byte < 256 && !is_spm; ++byte) {
    const bool is_seen = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    std::string character;
    schema::AppendUtf8(is_seen ? byte : 0x100 + static_cast<unsigned>(hidden++), character);
    if (!characters.contains(character)) return 0;
  }
  return longest;
}

}  // namespace

std::string CountText(const TokenizedText& text) {
  return text.is_whole ? fmt::format("{}", text.count) : fmt::format("at least {}", text.count);
}

Vocabulary::Vocabulary(const llama_model& model)
    : vocab_(llama_model_get_vocab(&model)),
      size_(llama_vocab_n_tokens(vocab_)),
      adds_space_(AddsSpace(model, vocab_)),
      has_byte_pairs_(llama_vocab_type(vocab_) == LLAMA_VOCAB_TYPE_BPE),
      token_bytes_max_(TokenBytesMax(vocab_)),
      whole_(has_byte_pairs_ ? WholeTexts(vocab_) : std::vector<WholeText>()),
      control_text_(ControlTexts(vocab_)) {}

Status Vocabulary::AppendTokens(const Part& part, std::vector<std::int32_t>& out) const {
  // Enough for one token a byte and what is added; llama.cpp says how many when it is not.
  std::vector<llama_token> tokens(part.text.size() + 8);
  const auto call = [&] {
    return llama_tokenize(vocab_, part.text.data(), static_cast<std::int32_t>(part.text.size()), tokens.data(),
                          static_cast<std::int32_t>(tokens.size()), part.add_special, part.parse_special);
  };
  std::int32_t count = call();
  if (count < 0 && count != INT32_MIN) {
    tokens.resize(static_cast<std::size_t>(-count));
    count = call();
  }
  if (count < 0) {
    return InvalidArgument("TOKENIZE_FAILED", "the model's tokeniser refuses the prompt: it makes too many tokens");
  }
  out.insert(out.end(), tokens.begin(), tokens.begin() + count);
  return {};
}

Status Vocabulary::AppendParts(std::span<const Part> parts, const TokenLimits& limits, TokenizedText& out) const {
  for (const Part& part : parts) {
    const bool is_cut = has_byte_pairs_ && part.text.size() > kPieceBytes;
    // Only the whole has a beginning and an end.
    if (is_cut && part.add_special && llama_vocab_get_add_bos(vocab_)) out.tokens.push_back(llama_vocab_bos(vocab_));
    std::size_t at = 0;
    do {
      if (std::ssize(out.tokens) > std::max<std::int64_t>(limits.tokens_max, 0)) {
        out.is_whole = false;
        out.count = std::ssize(out.tokens);
        return {};
      }
      if (limits.is_cancelled && limits.is_cancelled()) {
        return Fail(Code::kCancelled, "CANCELLED", "the caller went away");
      }
      const std::size_t end = is_cut ? PieceEnd(part.text, at, kPieceBytes, whole_) : part.text.size();
      ALLOD_CHECK_OK(
          AppendTokens({part.text.substr(at, end - at), !is_cut && part.add_special, part.parse_special}, out.tokens));
      at = end;
    } while (at < part.text.size());
    if (is_cut && part.add_special && llama_vocab_get_add_eos(vocab_)) out.tokens.push_back(llama_vocab_eos(vocab_));
  }
  out.count = std::ssize(out.tokens);
  return {};
}

Result<TokenizedText> Vocabulary::Tokenize(std::span<const Part> parts, const TokenLimits& limits) const {
  TokenizedText out;
  std::size_t bytes = 0;
  for (const Part& part : parts) bytes += part.text.size();
  if (token_bytes_max_ > 0) {
    out.count = static_cast<std::int64_t>((bytes + token_bytes_max_ - 1) / token_bytes_max_);
    out.is_whole = out.count <= limits.tokens_max;
    if (!out.is_whole) return out;
  }
  Status done;
  const auto run = [&] {
    const AllocationBudget budget(LimitsFor(bytes));
    const model::ClientsText quiet;
    try {
      done = AppendParts(parts, limits, out);
    } catch (const std::exception& e) {
      done = InvalidArgument("TOKENIZE_FAILED", fmt::format("the model's tokeniser refuses the prompt: {}", e.what()));
    }
  };
  if (bytes <= kShortBytes) {
    run();
  } else {
    ALLOD_CHECK_OK(RunOnDeepStack(run));
  }
  ALLOD_CHECK_OK(done);
  return out;
}

Result<TokenizedText> Vocabulary::TokenizeText(const std::string& text, const TokenLimits& limits) const {
  const Part part{text, /*add_special=*/true, /*parse_special=*/false};
  return Tokenize({&part, 1}, limits);
}

Result<TokenizedText> Vocabulary::TokenizePrompt(std::span<const PromptPart> parts, const TokenLimits& limits) const {
  std::vector<Part> all;
  for (const PromptPart& part : parts) {
    all.push_back({part.text, /*add_special=*/all.empty(), /*parse_special=*/!part.is_plain});
  }
  return Tokenize(all, limits);
}

Result<std::vector<std::int32_t>> Vocabulary::TokenizeMarkup(const std::string& text) const {
  const Part part{text, /*add_special=*/false, /*parse_special=*/true};
  ALLOD_TRY(TokenizedText out, Tokenize({&part, 1}, {}));
  return std::move(out.tokens);
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
