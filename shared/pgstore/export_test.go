package pgstore

// ClaimStatement is that of Claim, for its plan.
var ClaimStatement = claimStatement
