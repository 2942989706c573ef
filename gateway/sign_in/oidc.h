// OpenID Connect as a relying party speaks it: the authorization code flow with PKCE. Pure but for random values.
//
// OpenID Connect Core 1.0 sections 3.1 and 3.1.3.7, RFC 6749 section 4.1, RFC 7636 (S256 alone), RFC 9207, RFC 9700.
#pragma once

#include <string>
#include <string_view>

#include "gateway/federation/issuer_keys.h"
#include "gateway/federation/trust_table.h"
#include "gateway/sign_in/attempt.h"
#include "services/common/jose/token.h"
#include "services/common/result.h"
#include "services/common/web/fetcher.h"

namespace allod::gateway::sign_in {

// Where a browser is sent. FAILED_PRECONDITION / ISSUER_MISCONFIGURED when the issuer has no endpoint for it that is
// https, or http on this machine.
Result<std::string> AuthorizationUrl(const federation::Issuer& issuer, const federation::SignIn& client,
                                     const Attempt& attempt, const std::string& redirect_uri);

// The code that a browser brings back.
// UNAUTHENTICATED / OTHER_ATTEMPT for the answer to another one, SIGN_IN_FAILED: by another issuer, or with the
// issuer's refusal; INVALID_ARGUMENT for what cannot be read.
Result<std::string> ReadCode(std::string_view query, const Attempt& attempt, const federation::Provider& provider,
                             const federation::Issuer& issuer);

// The code for tokens.
Result<FetchRequest> CodeRequest(const federation::Issuer& issuer, const federation::SignIn& client,
                                 const Attempt& attempt, const std::string& code, const std::string& redirect_uri);
// The ID token in the answer. UNAUTHENTICATED / SIGN_IN_FAILED.
Result<std::string> IdTokenOf(std::string_view answer);

// What a verified ID token must say beside what every token must: it is for this client alone, and has the nonce of the
// attempt. If that is empty it has none: a token that was made for an attempt in a browser begins that one's session
// and no other, of this tenant or another. UNAUTHENTICATED / TOKEN_AUDIENCE, TOKEN_NONCE, TOKEN_CLAIM.
Status CheckIdToken(const jose::UnverifiedToken& token, const jose::Claims& claims, const std::string& client_id,
                    const std::string& nonce);

// `name`, else `email`, else nothing; at most 128 characters.
std::string DisplayNameOf(const jose::Claims& claims);

}  // namespace allod::gateway::sign_in
