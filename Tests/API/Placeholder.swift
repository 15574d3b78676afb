// Tests of the API follow.
