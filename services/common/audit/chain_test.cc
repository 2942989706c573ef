#include "services/common/audit/chain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

namespace allod::audit::chain_test {
namespace {

using Kind = Break::Kind;

class Chain {
 public:
  explicit Chain(int count, unsigned seed = 1) : random_(seed) {
    for (int i = 0; i < count; ++i) Grow();
  }
  void Grow() {
    Entry entry;
    entry.sequence = static_cast<std::int64_t>(entries_.size()) + 1;
    entry.time = Time(std::chrono::seconds(1'800'000'000 + entry.sequence / 3));
    entry.actor = {"api_key", "tenants/ke/projects/p/apiKeys/k" + std::to_string(random_() % 9), "k1"};
    entry.action = "tenancy.apiKeys.create";
    entry.resource = "tenants/ke/projects/p/apiKeys/" + std::to_string(random_() % 100);
    entry.outcome = random_() % 4 == 0 ? Outcome::kRefused : Outcome::kDone;
    if (entry.outcome == Outcome::kRefused) entry.reason = "PERMISSION_MISSING";
    entry.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    entry.details = {{"scopes", "inference,portal"}, Personal("display_name", "Wanjiku's key")};
    entry.hash = HashAfter(entries_.empty() ? kGenesis.hash : entries_.back().hash, entry);
    entries_.push_back(std::move(entry));
  }
  Head head() const { return {entries_.back().sequence, entries_.back().hash}; }
  std::vector<Entry>& entries() { return entries_; }

  static inline const Head kGenesis = Genesis("tenancy", "tenants/ke");

 private:
  std::mt19937 random_;
  std::vector<Entry> entries_;
};

std::optional<Break> Walk(const std::vector<Entry>& entries, const std::vector<Head>& known = {},
                          const Head& genesis = Chain::kGenesis) {
  ChainVerifier verifier(genesis);
  for (const Head& head : known) verifier.Expect(head);
  for (const Entry& entry : entries) {
    if (auto broken = verifier.Add(entry)) return broken;
  }
  return verifier.Finish();
}

void Flip(std::string& text, std::mt19937& random) {
  if (text.empty()) {
    text = "x";
  } else {
    char& flipped = text[random() % text.size()];
    flipped = static_cast<char>(flipped ^ (1 << (random() % 8)));
  }
}

template <std::size_t kSize>
void Flip(std::array<std::uint8_t, kSize>& bytes, std::mt19937& random) {
  bytes[random() % bytes.size()] ^= static_cast<std::uint8_t>(1U << (random() % 8));
}

// One bit of something that an entry says.
void FlipSomething(Entry& entry, std::mt19937& random) {
  switch (random() % 15) {
    case 0:
      return Flip(entry.actor.kind, random);
    case 1:
      return Flip(entry.actor.id, random);
    case 2:
      return Flip(entry.actor.credential, random);
    case 3:
      return Flip(entry.action, random);
    case 4:
      return Flip(entry.resource, random);
    case 5:
      return Flip(entry.reason, random);
    case 6:
      return Flip(entry.trace_id, random);
    case 7:
      return Flip(entry.hash, random);
    case 8:
      entry.outcome = entry.outcome == Outcome::kDone ? Outcome::kRefused : Outcome::kDone;
      return;
    case 9:
      entry.time += std::chrono::microseconds(random() % 2 == 0 ? 1 : -1);
      return;
    case 10:
      return Flip(entry.details[0].name, random);
    case 11:
      return Flip(entry.details[0].value, random);
    case 12:
      return Flip(entry.details[1].value, random);
    case 13:
      return Flip(*entry.details[1].commitment, random);
    default:
      return Flip(*entry.details[1].salt, random);
  }
}

TEST(Chain, IsWholeAsItWasWritten) {
  Chain chain(50);
  EXPECT_FALSE(Walk(chain.entries()));
  EXPECT_FALSE(Walk(chain.entries(), {chain.head()}));
  EXPECT_FALSE(Walk({}));
}

TEST(Chain, ShowsTenThousandFlipsDeletionsReorderingsAndTruncations) {
  std::mt19937 random(20261128);
  Chain whole(40);
  const Head head = whole.head();
  std::array<int, 5> made{};
  for (int i = 0; i < 10'000; ++i) {
    std::vector<Entry> entries = whole.entries();
    const std::size_t at = random() % entries.size();
    const auto way = random() % 5;
    switch (way) {
      case 0:
        FlipSomething(entries[at], random);
        break;
      case 1:
        entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      case 2: {
        const std::size_t other = (at + 1 + random() % (entries.size() - 1)) % entries.size();
        std::swap(entries[at], entries[other]);
        break;
      }
      case 3:
        entries.resize(at);
        break;
      default:  // once more, somewhere
        entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(random() % (entries.size() + 1)), entries[at]);
        break;
    }
    ++made[way];
    const auto broken = Walk(entries, {head});
    ASSERT_TRUE(broken) << "way " << way << " at " << at;
    if (way == 0) {
      ASSERT_EQ(broken->sequence, static_cast<std::int64_t>(at) + 1) << broken->words;
    }
    ASSERT_FALSE(broken->words.empty());
  }
  for (const int count : made) EXPECT_GT(count, 1000);
}

TEST(Chain, NamesTheFirstBrokenPlaceAndWhy) {
  const auto kind_of = [](const std::function<void(std::vector<Entry>&)>& spoil) {
    Chain chain(10);
    const Head head = chain.head();
    spoil(chain.entries());
    const auto broken = Walk(chain.entries(), {head});
    return broken ? std::pair(broken->kind, broken->sequence) : std::pair(Kind::kChanged, std::int64_t{-1});
  };
  using Found = std::pair<Kind, std::int64_t>;
  EXPECT_EQ(kind_of([](auto& e) { e.erase(e.begin() + 3, e.begin() + 5); }), Found(Kind::kGap, 4));
  EXPECT_EQ(kind_of([](auto& e) { e.insert(e.begin() + 5, e[1]); }), Found(Kind::kReordered, 2));
  EXPECT_EQ(kind_of([](auto& e) { e[6].actor = {"operator", "", ""}; }), Found(Kind::kChanged, 7));
  EXPECT_EQ(kind_of([](auto& e) { e[6].details[1].value = "somebody else's key"; }), Found(Kind::kValue, 7));
  EXPECT_EQ(kind_of([](auto& e) { e.resize(8); }), Found(Kind::kTruncated, 9));
  EXPECT_EQ(kind_of([](auto& e) { e.clear(); }), Found(Kind::kTruncated, 1));
}

// Whoever may write the database as its owner can make all hashes anew, but not what a head said that was kept
// elsewhere.
TEST(Chain, AHeadThatWasKeptShowsALogThatWasWrittenAnew) {
  Chain chain(10);
  const Head kept{6, chain.entries()[5].hash};
  std::vector<Entry> forged = chain.entries();
  forged[2].actor = {"operator", "", ""};
  for (std::size_t i = 2; i < forged.size(); ++i) forged[i].hash = HashAfter(forged[i - 1].hash, forged[i]);
  EXPECT_FALSE(Walk(forged)) << "by itself it looks whole";
  const auto broken = Walk(forged, {kept});
  ASSERT_TRUE(broken);
  EXPECT_EQ(broken->kind, Kind::kRewritten);
  EXPECT_EQ(broken->sequence, 6);
  forged.resize(5);
  EXPECT_EQ(Walk(forged, {kept})->kind, Kind::kTruncated);
}

TEST(Chain, OfOneTenantAndServiceIsNoOthers) {
  Chain chain(3);
  for (const Head& other : {Genesis("billing", "tenants/ke"), Genesis("tenancy", "tenants/ug")}) {
    EXPECT_EQ(Walk(chain.entries(), {}, other)->kind, Kind::kChanged);
  }
}

TEST(Chain, TextsDoNotRunIntoEachOther) {
  Entry a;
  a.actor = {"tenant", "ab", "c"};
  Entry b;
  b.actor = {"tenant", "a", "bc"};
  EXPECT_NE(Encode(a), Encode(b));
  a = b;
  a.action = "x";
  b.resource = "x";
  EXPECT_NE(Encode(a), Encode(b));
}

// The format is kept by those who verify: these bytes never change.
TEST(Chain, IsEncodedAsItsHeaderSays) {
  Entry entry;
  entry.sequence = 258;
  entry.time = Time(std::chrono::microseconds(1));
  entry.actor = {"node", "n", ""};
  entry.action = "a";
  entry.outcome = Outcome::kRefused;
  entry.reason = "R";
  entry.details = {{"z", "1"}, {"b", "22"}};
  EXPECT_EQ(ToHex({reinterpret_cast<const std::uint8_t*>(Encode(entry).data()), Encode(entry).size()}),
            "01"
            "0000000000000102"
            "0000000000000001"
            "000000046e6f6465"
            "000000016e"
            "00000000"
            "0000000161"
            "00000000"
            "01"
            "0000000152"
            "00000000"
            "00000002"
            "0000000162"
            "00"
            "000000023232"
            "000000017a"
            "00"
            "0000000131");
  EXPECT_EQ(ToHex(Genesis("tenancy", "tenants/ke").hash),
            Sha256Hex(std::string("allod.audit.chain.1\0\0\0\0\x07tenancy\0\0\0\x0atenants/ke", 45)));
}

TEST(Personal, CanBeErasedAndTheChainIsStillWhole) {
  Chain chain(5);
  for (Entry& entry : chain.entries()) {
    entry.details[1].salt.reset();
    entry.details[1].value.clear();
    EXPECT_TRUE(entry.details[1].erased());
  }
  EXPECT_FALSE(Walk(chain.entries(), {chain.head()}));
  chain.entries()[3].details[1].value = "what nobody committed to";
  EXPECT_EQ(Walk(chain.entries())->kind, Kind::kValue);
}

TEST(Personal, TheSameValueHasAnotherCommitmentEachTime) {
  const Detail a = Personal("name", "Achieng");
  const Detail b = Personal("name", "Achieng");
  EXPECT_NE(*a.commitment, *b.commitment);
  EXPECT_NE(Commit(*a.salt, "name", "Achieng"), Commit(*a.salt, "other", "Achieng"));
}

TEST(CheckEntry, RefusesWhatIsBeyondItsBounds) {
  Entry entry;
  entry.actor.kind = "operator";
  entry.action = "a.b.c";
  EXPECT_TRUE(CheckEntry(entry));
  const auto refused = [&](const std::function<void(Entry&)>& spoil) {
    Entry other = entry;
    spoil(other);
    return !CheckEntry(other).has_value();
  };
  EXPECT_TRUE(refused([](Entry& e) { e.action.clear(); }));
  EXPECT_TRUE(refused([](Entry& e) { e.actor.kind.clear(); }));
  EXPECT_TRUE(refused([](Entry& e) { e.resource.assign(kTextBytesMax + 1, 'x'); }));
  EXPECT_TRUE(refused([](Entry& e) { e.reason = std::string("a\0b", 3); }));
  EXPECT_TRUE(refused([](Entry& e) { e.details = {{"a", "1"}, {"a", "2"}}; }));
  EXPECT_TRUE(refused([](Entry& e) { e.details = {{"With Blanks", "1"}}; }));
  EXPECT_TRUE(refused([](Entry& e) { e.details.resize(kDetailsMax + 1); }));
}

}  // namespace
}  // namespace allod::audit::chain_test
