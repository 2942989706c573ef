#include "tests/bench/make_model_vocabulary.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <sstream>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace allod::bench {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // SentencePiece's visible space

// Function words first: what comes first gets the better score.
constexpr std::string_view kWords =
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which "
    "you were all her she there would their we him been has when who will no more if out so up said what its about "
    "than "
    "into them can only other time new some could these two may first then do any like my now over such our man me "
    "even "
    "most made after also did many before must through years where much your way well down should because each just "
    "those people how too little state good very make world still see own work long here get both between life being "
    "under never day same another know while last might us great old year off come since against go came right used "
    "take three small large place again few house use during without home part number water place away number public "
    "country government people child children family school hospital doctor nurse health medicine vaccine mother "
    "father "
    "woman women name birth certificate office officer form card document register registration apply application fee "
    "pay payment money bank account phone mobile send receive price market farm farmer crop maize seed soil rain "
    "season "
    "harvest animal cow goat chicken milk food land law court judge police safe safety emergency fire flood help call "
    "service county district village town city street road bus travel train car drive road teacher student learn "
    "lesson "
    "read write book language word question answer ask tell say speak talk think believe understand mean reason idea "
    "problem solution result example case point fact information data model system machine computer program file "
    "memory "
    "process request user message token network server energy power light heat air fire earth sea river mountain tree "
    "plant forest field garden summer winter spring autumn morning evening night week month hour minute second today "
    "tomorrow yesterday always often sometimes usually perhaps almost already however therefore although though until "
    "whether within across around behind beside near far above below open close begin start stop end finish keep hold "
    "carry bring give put set turn move walk run sit stand wait stay leave live die grow change become seem appear "
    "feel "
    "hear look watch show find lose win play sing dance eat drink sleep wake build break cut fix clean wash cook buy "
    "sell share join meet follow lead teach try need want love hate hope fear care thank please sorry yes black white "
    "red green blue yellow big short high low early late young rich poor strong weak hard easy heavy fast slow hot "
    "cold "
    "warm cool dry wet full empty clear dark bright quiet loud free busy ready sure true false different important "
    "possible special general common local national international political social economic natural human personal "
    "private community company business industry product production development education university science research "
    "history nature society culture party member group team leader president minister parliament election vote right "
    "duty rule order control policy plan project support cost value rate level size form kind type part side top "
    "bottom "
    "front back left middle centre line circle square shape body head hand foot eye ear face heart blood bone skin "
    "pain "
    "disease fever cough drug dose test treatment patient clinic visit appointment certificate identity passport "
    "permit "
    "licence tax income property title transfer contract agreement sign letter email address number date age amount";

constexpr std::array<std::string_view, 12> kEndings = {"s",  "ed", "ing",  "ly",  "er",   "ers",
                                                       "es", "'s", "ment", "ion", "ness", "able"};
constexpr std::array<std::string_view, 36> kOnsets = {
    "",   "s",  "t",  "r",  "l",  "n",  "m",  "c",  "p",  "d",  "b",  "f", "g", "h", "v",  "w",  "st", "th",
    "ch", "sh", "pr", "tr", "pl", "cl", "gr", "br", "fr", "sp", "cr", "k", "j", "y", "dr", "qu", "wh", "sc"};
constexpr std::array<std::string_view, 16> kVowels = {"e",  "a",  "i",  "o",  "u", "ea", "io", "ou",
                                                      "ai", "ee", "oo", "ie", "y", "oa", "au", "ei"};
constexpr std::array<std::string_view, 29> kCodas = {"",   "n",  "r",  "s",  "t",   "l",  "d",  "m",  "c",  "nt",
                                                     "ng", "st", "ll", "ss", "rs",  "p",  "k",  "g",  "ck", "nd",
                                                     "ns", "th", "ch", "ts", "nce", "rt", "ly", "ve", "te"};

class Builder {
 public:
  explicit Builder(std::size_t size) : size_(size) {
    pieces_.texts.reserve(size);
    Add("<unk>", PieceType::kUnknown);
    for (const char* text : {"<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"}) {
      Add(text, PieceType::kControl);
    }
    for (int byte = 0; byte < 256; ++byte) Add(fmt::format("<0x{:02X}>", byte), PieceType::kByte);
  }

  // Pieces are merged from pairs, the best score first, so a piece needs every shorter beginning of it; together they
  // are built from left to right.
  void AddWithBeginnings(std::string_view begin, std::string_view text) {
    for (std::size_t length = 1; length <= text.size(); ++length) {
      AddNormal(std::string(begin).append(text.substr(0, length)));
    }
  }
  void AddNormal(std::string text) {
    if (pieces_.texts.size() < size_ && seen_.insert(text).second) Add(std::move(text), PieceType::kNormal);
  }

  bool full() const { return pieces_.texts.size() == size_; }
  Vocabulary Finish() && { return std::move(pieces_); }

 private:
  void Add(std::string text, PieceType type) {
    pieces_.scores.push_back(type == PieceType::kNormal ? -static_cast<float>(pieces_.texts.size()) : 0);
    pieces_.types.push_back(std::to_underlying(type));
    pieces_.texts.push_back(std::move(text));
  }

  std::size_t size_;
  Vocabulary pieces_;
  std::unordered_set<std::string> seen_;
};

void AddWords(Builder& builder) {
  std::istringstream words{std::string(kWords)};
  for (std::string word; words >> word;) builder.AddWithBeginnings(kSpace, word);
}

void AddForms(Builder& builder) {
  std::istringstream words{std::string(kWords)};
  for (std::string word; words >> word;) {
    if (word.size() < 3) continue;
    std::string capital = word;
    capital[0] = static_cast<char>(capital[0] - 'a' + 'A');
    builder.AddWithBeginnings(kSpace, capital);
    for (const std::string_view ending : kEndings) builder.AddWithBeginnings(kSpace, word + std::string(ending));
  }
}

void AddSyllables(Builder& builder) {
  for (const std::string_view coda : kCodas) {
    for (const std::string_view vowel : kVowels) {
      for (const std::string_view onset : kOnsets) {
        const std::string syllable = std::string(onset).append(vowel).append(coda);
        builder.AddWithBeginnings("", syllable);
        builder.AddWithBeginnings(kSpace, syllable);
      }
    }
  }
}

}  // namespace

Vocabulary MakeVocabulary(std::size_t size) {
  Builder builder(size);
  builder.AddNormal(std::string(kSpace));
  for (char c = 'a'; c <= 'z'; ++c) builder.AddNormal(std::string(1, c));
  for (char c = 'A'; c <= 'Z'; ++c) builder.AddNormal(std::string(1, c));
  for (const char c : std::string_view("0123456789.,;:?!'\"()[]{}<>|/\\-_+=*&%$#@~^`")) {
    builder.AddNormal(std::string(1, c));
  }
  AddWords(builder);
  for (const std::string_view ending : kEndings) builder.AddWithBeginnings("", ending);
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'a'; b <= 'z'; ++b) builder.AddNormal({a, b});
  }
  AddForms(builder);
  AddSyllables(builder);
  if (!builder.full()) std::abort();  // the lists above give more pieces than anybody may ask for
  return std::move(builder).Finish();
}

}  // namespace allod::bench
