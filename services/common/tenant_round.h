// A round over the tenants that have something to do: how every loop over tenants sees to it that one tenant's trouble
// keeps nothing from the others.
//
//   int count = 0;
//   ALLOD_CHECK_OK(GoRound(set_aside_, clock_, TenantRound<TenantId>{
//       .stage = "roll up usage",
//       .page_size = 200,
//       .find = [&](auto after) { return store_.TenantsBehind(after, 200); },
//       .work = [&](const TenantId& tenant) -> Status { ... },
//       .stop = stop}));
//
// Work that fails, or throws, has its tenant set aside (set_aside.h): it is left alone for a while, and the round goes
// on. What is wrong with everybody ends the round, and is its error. A tenant that a whole round had nothing to do for,
// or whose work was done, is in no trouble any more, whoever did it.
//
// By the thread that SetAside is of.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "services/common/catching.h"
#include "services/common/clock.h"
#include "services/common/set_aside.h"

namespace allod {

// `Item`: a TenantId, or what has one as its `tenant`; the log says its `name`, if it has one. `Cursor`: a TenantId, or
// the whole of an item, where tenants have several.
template <typename Item, typename Cursor = TenantId>
struct TenantRound {
  std::string_view stage;  // as metrics and the log say it
  std::size_t page_size = 0;
  // In order, those after `after`; `page_size` of them, or all that there are.
  std::function<Result<std::vector<Item>>(const std::optional<Cursor>& after)> find;
  std::function<Status(const Item&)> work;
  std::stop_token stop;  // asked before each
  // Beside ConcernsEverybody (set_aside.h): whether an error ends the round. Null: no other does.
  std::function<bool(const Error&)> ends;
  // Asked before each: whether there is room for more. Null: always.
  std::function<bool()> has_room;
};

namespace tenant_round {

template <typename Item>
TenantId TenantOf(const Item& item) {
  if constexpr (std::is_same_v<Item, TenantId>) {
    return item;
  } else {
    return item.tenant;
  }
}

template <typename Cursor, typename Item>
Cursor CursorOf(const Item& item) {
  if constexpr (std::is_same_v<Item, Cursor>) {
    return item;
  } else {
    return TenantOf(item);
  }
}

template <typename Item>
std::string NameOf(const Item& item) {
  if constexpr (requires { std::string(item.name); }) {
    return item.name;
  } else {
    return "";
  }
}

}  // namespace tenant_round

// The error of `find`, or one that ends the round.
template <typename Item, typename Cursor>
Status GoRound(SetAside& set_aside, const Clock& clock, const TenantRound<Item, Cursor>& round) {
  std::set<TenantId> aside;
  std::optional<Cursor> after;
  while (true) {
    ALLOD_TRY(const std::vector<Item> items, round.find(after));
    for (const Item& item : items) {
      // Of those that it did not come to nothing is known.
      if (round.stop.stop_requested() || (round.has_room && !round.has_room())) return {};
      const TenantId tenant = tenant_round::TenantOf(item);
      const Time now = clock.Now();
      if (!set_aside.Waits(tenant, round.stage, now)) {
        const Status done = Catching(round.stage, [&] { return round.work(item); });
        if (done) continue;
        if (ConcernsEverybody(done.error()) || (round.ends && round.ends(done.error()))) return done;
        set_aside.Fail(tenant, round.stage, done.error(), now, tenant_round::NameOf(item));
      }
      aside.insert(tenant);
    }
    if (items.size() < round.page_size) break;
    after = tenant_round::CursorOf<Cursor>(items.back());
  }
  set_aside.KeepOnly(round.stage, aside);
  return {};
}

}  // namespace allod
